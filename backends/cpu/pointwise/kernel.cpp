// The kernel of LKS_OP_POINTWISE. A small launch on dense tensors runs directly on the calling thread; all other
// launches go through the executor.
#include <array>
#include <atomic>

#include "backends/cpu/kernels.h"
#include "backends/cpu/pointwise/executor.h"
#include "backends/cpu/stream.h"

namespace cpu {
namespace {

// A lock-free cache of plans by classes. Plans are made on first use.
class PlanCache {
 public:
  ~PlanCache() {
    for (std::atomic<const Plan*>& entry : entries_) delete entry.load();
  }

  /// If all entries are taken, the plan is not kept and `temporary` owns it.
  template <class Make>
  const Plan& get(const Classes& classes, std::unique_ptr<const Plan>& temporary, Make&& make) const {
    for (std::atomic<const Plan*>& entry : entries_) {
      const Plan* plan = entry.load(std::memory_order_acquire);
      if (!plan) {
        if (!temporary) temporary = std::make_unique<const Plan>(make());
        if (!entry.compare_exchange_strong(plan, temporary.get(), std::memory_order_acq_rel)) {
          if (plan->classes == classes) return *plan;
          continue;
        }
        return *temporary.release();
      }
      if (plan->classes == classes) return *plan;
    }
    if (!temporary) temporary = std::make_unique<const Plan>(make());
    return *temporary;
  }

 private:
  mutable std::array<std::atomic<const Plan*>, 16> entries_{};
};

class PointwiseKernel : public lks_kernel {
 public:
  PointwiseKernel(const lks_host_api& api, Code code, std::size_t inputs, std::size_t outputs, Aliases aliases)
      : api_(api), code_(std::move(code)), inputs_(inputs), outputs_(outputs), aliases_(std::move(aliases)) {
    std::unique_ptr<const Plan> temporary;
    const Plan& plan = plan_for({}, temporary);  // the most common plan is made in advance
    const bool one_step = plan.steps.size() == 1 && plan.once.empty() && plan.before.empty() && plan.indices.empty() &&
                          plan.linear_cell < 0 && plan.slot_count == 0;
    single_ = one_step ? &plan : nullptr;
  }

  void run(const lks_launch& launch) const override {
    const std::int64_t count = element_count(launch.bindings[inputs_], ranks[inputs_]);
    if (count == 0) return;
    if (count <= small_launch && run_small(launch, count)) return;
    run_large(launch, count);
  }

 private:
  static constexpr std::int64_t small_launch = 4096;

  static std::int64_t element_count(const lks_binding& b, int rank) {
    std::int64_t n = 1;
    for (int d = 0; d < rank; ++d) n *= b.dims[d];
    return n;
  }

  // The number of elements of a dense tensor; -1 if it is not dense.
  static std::int64_t dense_count(const lks_binding& b, int rank) {
    std::int64_t n = 1;
    for (int d = rank - 1; d >= 0; --d) {
      if (b.strides[d] != n && b.dims[d] != 1) return -1;
      n *= b.dims[d];
    }
    return n;
  }

  static void* address(const lks_binding& b, lks_dtype type) {
    return static_cast<char*>(b.buffer->data) + b.offset * bytes_of(type);
  }

  const Plan& plan_for(const Classes& classes, std::unique_ptr<const Plan>& temporary) const {
    return plans_.get(classes, temporary, [&] { return make_plan(code_, inputs_, outputs_, aliases_, classes); });
  }

  LaunchData data_of(const lks_launch& launch) const {
    return {.input_count = inputs_,
            .output_count = outputs_,
            .scalars = launch.scalars,
            .dims = launch.bindings[inputs_].dims,
            .rank = ranks[inputs_]};
  }

  // Runs a launch on dense tensors and single values as one segment, on this thread. Returns false for any other
  // launch.
  bool run_small(const lks_launch& launch, std::int64_t count) const {
    void* places[max_places];
    Classes classes;
    for (std::size_t t = 0; t < inputs_ + outputs_; ++t) {
      const lks_binding& b = launch.bindings[t];
      const std::int64_t n = dense_count(b, ranks[t]);
      if (n != count) {
        if (n != 1) return false;
        classes.set_input(t, Access::constant);
      }
      places[t] = address(b, dtypes[t]);
    }
    if (single_ && classes.inputs == 0) {
      set_single_cells(launch, places);
      const Step& s = single_->steps.front();
      s.loop(places[s.out], places[s.a], places[s.b], places[s.c], places[s.d], count);
      return true;
    }
    return run_as_segment(launch, places, classes, count);
  }

  // Scalars and constants are not copied; the loop reads them in place.
  void set_single_cells(const lks_launch& launch, void** places) const {
    for (std::size_t k = 0; k < single_->cells.size(); ++k) {
      places[single_->first_cell + k] = const_cast<std::uint64_t*>(&single_->cells[k]);
    }
    for (const auto& [cell, scalar] : single_->scalars) {
      places[single_->first_cell + cell] = const_cast<std::uint64_t*>(&launch.scalars[scalar]);
    }
  }

  bool run_as_segment(const lks_launch& launch, void** places, const Classes& classes, std::int64_t count) const {
    std::unique_ptr<const Plan> temporary;
    const Plan& plan = plan_for(classes, temporary);
    if (count > plan.tile) return false;
    const LaunchData data = data_of(launch);
    Cells cells;
    alignas(64) char scratch[slot_bytes];
    compute_cells(plan, data, places, cells);
    run_segment(plan, data, places, scratch, 0, count);
    return true;
  }

  void run_large(const lks_launch& launch, std::int64_t count) const {
    host::TensorView tensors[max_tensors];
    for (std::size_t t = 0; t < inputs_ + outputs_; ++t) tensors[t] = view(launch, t);
    const Space space = make_space(tensors, inputs_ + outputs_, tensors[inputs_]);
    if (!run_blocked(preferred_kind(space), space, launch, count))
      run_blocked(Blocking::Kind::rows, space, launch, count);
  }

  bool run_blocked(Blocking::Kind kind, const Space& space, const lks_launch& launch, std::int64_t count) const {
    Classes classes;
    Blocking blocking = make_blocking(kind, space, inputs_, classes);
    LaunchData data = data_of(launch);
    for (std::size_t o = 0; o < outputs_; ++o) {
      const bool large = count * space.sizes[inputs_ + o] >= stream_threshold();
      if (!large || aliases_[o] >= 0 || classes.holds(o)) continue;
      classes.held_outputs |= 1u << o;
      data.streamed |= 1u << o;
    }
    std::unique_ptr<const Plan> temporary;
    const Plan& plan = plan_for(classes, temporary);
    if (!size_blocks(blocking, space, inputs_, plan.tile)) return false;
    execute(api_, plan, space, blocking, data);
    return true;
  }

  const lks_host_api& api_;
  const Code code_;
  const std::size_t inputs_, outputs_;
  const Aliases aliases_;
  PlanCache plans_;
  const Plan* single_ = nullptr;  // set if the whole program is one loop
};

Aliases aliases_of(const lks_kernel_desc& desc) {
  Aliases aliases(desc.output_count, -1);
  for (std::uint32_t a = 0; a < desc.alias_count; ++a) {
    aliases[desc.aliases[a].output] = static_cast<int>(desc.aliases[a].input);
  }
  return aliases;
}

}  // namespace

lks_status make_pointwise(const KernelRequest& request, Out out) {
  if (request.tensor_count() > max_tensors) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "more than %zu tensors", max_tensors);
  }
  Code code = make_code(*request.desc.programs[0].program);
  if (code.ops.size() > max_ops) {
    return common::refuse(request.diag, LKS_REASON_SIZE, -1, DRIVER_WHERE, "more than %zu instructions", max_ops);
  }
  if (const Op* op = first_without_loop(code)) {
    return common::refuse(request.diag, LKS_REASON_DTYPE, -1, DRIVER_WHERE, "no arithmetic (opcode %u) in dtype %#x",
                          op->opcode, op->type);
  }
  common::emplace<PointwiseKernel>(request, out, request.api, std::move(code), request.desc.input_count,
                                   request.desc.output_count, aliases_of(request.desc));
  return LKS_OK;
}

}  // namespace cpu
