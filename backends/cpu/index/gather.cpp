// gather: out[before…, indices…, after…] = x[before…, index, after…].
#include <cstring>

#include "backends/cpu/index/indices.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/reduce/nest.h"
#include "backends/cpu/stream.h"

namespace cpu {
namespace {

/// One launch. The dimensions before the axis, those of the indices, and those after the axis are one loop nest each.
template <class I, class E>
class Gather {
 public:
  Gather(const host::TensorView& x, const host::TensorView& indices, const host::TensorView& out, int axis)
      : x_(x.as<E>()), out_(out.as<E>()), indices_(indices.as<I>()), axis_step_(x.strides[axis]) {
    for (int d = 0; d < axis; ++d) before_.insert(x.dims[d], x.strides[d], out.strides[d]);
    for (int d = 0; d < indices.rank; ++d) at_.insert(indices.dims[d], indices.strides[d], out.strides[axis + d]);
    const int shift = indices.rank - 1;
    for (int d = axis + 1; d < x.rank; ++d) behind_.insert(x.dims[d], x.strides[d], out.strides[d + shift]);
    before_.merge();
    at_.merge();
    behind_.merge();
    run_ = behind_.take_inner();
    streams_ = out.count() * size >= stream_threshold() && run_.extent * size >= 256;
  }

  void run(const lks_host_api& api) const {
    const std::int64_t positions = at_.count(), slice = behind_.count() * run_.extent;
    const double ns = 3 + 0.1 * static_cast<double>(slice * size);
    parallel(api, before_.count() * positions, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t first = begin % positions, n = std::min(end - begin, positions - first);
        const Nest::Offsets base = before_.offsets(begin / positions);
        slice == 1 && at_.rank == 1 ? elements(base, first, n) : slices(base, first, n);
        begin += n;
      }
      if (streams_) stream_fence();
    });
  }

 private:
  static constexpr auto size = static_cast<std::int64_t>(sizeof(E));

  // For slices of one element and a vector of indices.
  void elements(const Nest::Offsets& base, std::int64_t first, std::int64_t n) const {
    const E* from = x_ + base.in;
    E* to = out_ + base.out + first * at_.out[0];
    const I* index = indices_ + first * at_.in[0];
    const std::int64_t index_step = at_.in[0], to_step = at_.out[0];
    for (std::int64_t i = 0; i < n; ++i) {
      to[i * to_step] = from[static_cast<std::int64_t>(index[i * index_step]) * axis_step_];
    }
  }

  void slices(const Nest::Offsets& base, std::int64_t first, std::int64_t n) const {
    constexpr std::int64_t ahead = 2;  // the processor cannot predict which slice is next
    for (std::int64_t i = first; i < first + n; ++i) {
      const Nest::Offsets at = at_.offsets(i);
      const E* from = x_ + base.in + static_cast<std::int64_t>(indices_[at.in]) * axis_step_;
      if (at_.rank == 1 && i + ahead < first + n) {
        const auto next = static_cast<std::int64_t>(indices_[at.in + ahead * at_.in[0]]);
        prefetch(reinterpret_cast<const char*>(x_ + base.in + next * axis_step_),
                 std::min<std::int64_t>(run_.extent * size, 1024));
      }
      copy_slice(out_ + base.out + at.out, from);
    }
  }

  void copy_slice(E* to, const E* from) const {
    const std::int64_t runs = behind_.count();
    for (std::int64_t r = 0; r < runs; ++r) {
      const Nest::Offsets at = behind_.offsets(r);
      E* run_to = to + at.out;
      const E* run_from = from + at.in;
      if (run_.in == 1 && run_.out == 1) {
        if (streams_) {
          stream_out(reinterpret_cast<char*>(run_to), reinterpret_cast<const char*>(run_from), run_.extent * size);
        } else {
          std::memcpy(run_to, run_from, static_cast<std::size_t>(run_.extent * size));
        }
        continue;
      }
      for (std::int64_t k = 0; k < run_.extent; ++k) run_to[k * run_.out] = run_from[k * run_.in];
    }
  }

  const E* x_;
  E* out_;
  const I* indices_;
  std::int64_t axis_step_;
  Nest before_, at_, behind_;
  Nest::Inner run_;
  bool streams_;
};

class GatherKernel : public lks_kernel {
 public:
  GatherKernel(const lks_host_api& api, std::int64_t axis) : api_(api), axis_(static_cast<int>(axis)) {}

  lks_status check(const lks_launch& launch, lks_diag* diag) const override {
    return check_index_tensor(view(launch, 1), view(launch, 0).dims[axis_], axis_, diag);
  }

  void run(const lks_launch& launch) const override {
    const host::TensorView x = view(launch, 0), indices = view(launch, 1), out = view(launch, 2);
    if (out.count() == 0) return;
    with_index_type(indices.dtype, [&](auto index) {
      with_width(bytes_of(x.dtype),
                 [&](auto element) { Gather<decltype(index), decltype(element)>(x, indices, out, axis_).run(api_); });
    });
  }

 private:
  const lks_host_api& api_;
  int axis_;
};

}  // namespace

lks_status make_gather(const KernelRequest& request, Out out) {
  common::emplace<GatherKernel>(request, out, request.api, request.attrs<lks_gather_attrs>().axis);
  return LKS_OK;
}

}  // namespace cpu
