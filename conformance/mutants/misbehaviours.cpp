// Kernels that sometimes crash, hang, do nothing, use old scalars or race.
#include <xmmintrin.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "conformance/mutants/faulty_runs.h"
#include "conformance/mutants/terms.h"

namespace mutants {
namespace {

// Denormal inputs and results become zero.
void flushes_denormals(const Call& call) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040u);
  call.run();
  _mm_setcsr(before);
}

// Denormals stay flushed in the application after the launch.
void leaves_flushing_on(const Call& call) {
  call.run();
  _mm_setcsr(_mm_getcsr() | 0x8040u);
}

// Reads the first element without a check, so an empty tensor crashes.
void crashes_on_empty(const Call& call) {
  // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is to crash
  if (call.view(0).count() == 0) *static_cast<volatile int*>(nullptr) = 0;
  call.run();
}

void hangs_at_a_size(const Call& call) {
  const std::int64_t n = call.view(0).count();
  volatile bool forever = n > 8 && n % 16 == 1;
  while (forever) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  call.run();
}

// Imitates a library's error handler that ends the process with status 0.
void exits_on_nan(const Call& call) {
  const host::TensorView x = call.view(0);
  bool nan = false;
  if (x.dtype == LKS_F32) for_each<float>(x, [&](float v, std::int64_t) { nan = nan || std::isnan(v); });
  if (nan) std::_Exit(0);
  call.run();
}

// Every 50th launch does nothing.
void forgets_a_launch(const Call& call) {
  static std::atomic<unsigned> launches{0};
  if (++launches % 50 != 0) call.run();
}

void true_is_255(const Call& call) {
  call.run();
  for (std::size_t i = call.inputs(); i < call.tensors(); ++i) {
    const host::TensorView out = call.view(i);
    if (out.dtype != LKS_BOOL) continue;
    for_each<std::uint8_t>(out, [](std::uint8_t& v, std::int64_t) { v = v ? 255 : 0; });
  }
}

// The last bit of one element varies.
void changes_from_run_to_run(const Call& call) {
  call.run();
  const host::TensorView out = call.view(call.inputs());
  if (out.dtype != LKS_F32 || out.count() < 4) return;
  float& v = out.as<float>()[0];
  if (varies() && std::isnormal(v)) v = std::nextafter(v, 0.0f);
}

// Only in fast mode, of long sums.
void fast_long_sums_change_from_run_to_run(const Call& call) {
  is_fast(call) && Product(call).k > 200 ? changes_from_run_to_run(call) : call.run();
}

// The kernel keeps the scalars of its first launch. The key is the description's address, which is unique per kernel.
void scalars_baked_in(const Call& call) {
  static std::mutex mutex;
  static std::map<const void*, std::vector<std::uint64_t>> first;
  lks_launch launch = call.launch;
  {
    std::lock_guard lock(mutex);
    const auto [it, fresh] = first.try_emplace(&call.desc, launch.scalars, launch.scalars + launch.scalar_count);
    if (it->second.size() == launch.scalar_count) launch.scalars = it->second.data();
  }
  call.correct.run(launch);
}

// The output after `before` others is not written, as if a driver had room for that many.
template <std::size_t before>
void output_missing(const Call& call) {
  const std::size_t missing = call.inputs() + before;
  if (call.tensors() <= missing) return call.run();
  const host::TensorView out = call.view(missing);
  const std::size_t bytes = static_cast<std::size_t>(out.count()) * host::size_of(out.dtype);
  if (!out.dense()) return call.run();
  const std::vector<char> old(out.data, out.data + bytes);
  call.run();
  std::memcpy(out.data, old.data(), bytes);
}

// The ninth input is the first, if they have the same dtype and extents.
void ninth_input_is_the_first(const Call& call) {
  Rebound r(call);
  if (call.inputs() > 8) {
    const host::TensorView first = call.view(0), ninth = call.view(8);
    const bool same = first.rank == ninth.rank && std::equal(first.dims, first.dims + first.rank, ninth.dims);
    if (same && first.dtype == ninth.dtype) r.bind_as(8, 0);
  }
  r.run();
}

// All launches use the same memory for partial sums.
void shares_scratch(const Call& call) {
  static float scratch[1 << 16];
  const host::TensorView a = call.view(0);
  const auto inner = static_cast<std::size_t>(a.dims[a.rank - 1]);
  if (a.dtype != LKS_F32 || inner > std::size(scratch)) return call.run();
  matmul_by(call, [&](float, const std::vector<float>& left, const std::vector<float>& right) {
    for (std::size_t k = 0; k < inner; ++k) scratch[k] = left[k] * right[k];
    double total = 0;
    for (std::size_t k = 0; k < inner; ++k) total += static_cast<double>(scratch[k]);
    return static_cast<float>(total);
  });
}

constexpr KernelFault faults[] = {
    {Mutant::flushes_denormals, any_op, &flushes_denormals},
    {Mutant::leaves_flushing_on, LKS_OP_MATMUL, &leaves_flushing_on},
    {Mutant::crashes_on_empty, LKS_OP_SUM, &crashes_on_empty},
    {Mutant::pointwise_crashes_on_empty, LKS_OP_POINTWISE, &crashes_on_empty},
    {Mutant::hangs_at_a_size, LKS_OP_SUM, &hangs_at_a_size},
    {Mutant::exits_on_nan, LKS_OP_MAX, &exits_on_nan},
    {Mutant::forgets_a_launch, any_op, &forgets_a_launch},
    {Mutant::true_is_255, LKS_OP_POINTWISE, &true_is_255},
    {Mutant::changes_from_run_to_run, LKS_OP_MATMUL, &changes_from_run_to_run},
    {Mutant::fast_matmul_changes_from_run_to_run, LKS_OP_MATMUL, &fast_long_sums_change_from_run_to_run},
    {Mutant::scalars_baked_in, LKS_OP_POINTWISE, &scalars_baked_in},
    {Mutant::second_output_missing, LKS_OP_POINTWISE, &output_missing<1>},
    {Mutant::fifth_output_missing, LKS_OP_POINTWISE, &output_missing<4>},
    {Mutant::ninth_input_is_the_first, LKS_OP_POINTWISE, &ninth_input_is_the_first},
    {Mutant::shares_scratch, LKS_OP_MATMUL, &shares_scratch},
};

}  // namespace

std::span<const KernelFault> misbehaviours() { return faults; }

}  // namespace mutants
