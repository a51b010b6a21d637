// Turns a call into a launch: finds the kernel and binds memory. Submitting is a separate step, so that several calls
// can be planned first and submitted as one unit.
#pragma once

#include <span>

#include "ops/call_types.h"
#include "ops/observer.h"
#include "runtime/device_state.h"
#include "runtime/inline_vector.h"

namespace lockstep {

/// A call that is ready to be submitted after plan(). Neither copyable nor movable, because the launch points into it.
/// The call and its dtypes must outlive it.
class PlannedCall {
 public:
  PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorSpec> specs);
  /// The same, writing into existing tensors, which may be views.
  PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs);
  PlannedCall(const PlannedCall&) = delete;
  PlannedCall& operator=(const PlannedCall&) = delete;

  /// The given outputs keep their old contents if the command fails later. For outputs in a variable's memory.
  void keep_old_contents() { keeps_old_contents_ = true; }

  /// The call is submitted, or dropped, before this thread plans another one. Then plan() is a little faster.
  void submit_before_others() { submits_before_others_ = true; }

  /// Finds or prepares the kernel, and allocates outputs and workspace. In-place outputs use their input's memory.
  /// Returns false if the driver refuses the call; `refusal()` then gives the reason. Throws if memory runs out or a
  /// driver fails.
  bool plan();

  const KernelRefusal& refusal() const { return kernel_.refusal(); }
  /// The same, for use after this object is gone.
  KernelLookup take_answer() { return std::move(kernel_); }
  std::span<TensorRef> outputs() { return outputs_; }

  /// Submits planned calls of one device as one unit: all are enqueued, or none is and an exception is thrown. If they
  /// are found later to have failed on an asynchronous queue, `undo` runs and memory written in place is restored.
  static void submit(std::span<PlannedCall* const> calls, DeviceState& device, std::function<void()> undo = nullptr);

 private:
  void bind_inputs();
  KernelRequest request() const;
  bool has_fresh_layout(const TensorImpl& tensor) const;
  bool copy_input(std::int32_t operand);
  void bind();
  bool is_restored(std::size_t output) const;
  void verify_contents(CommandQueue& queue) const;

  const OpCall& call_;
  const CallTypes& types_;
  DeviceState& device_;
  InlineVector<TensorRef, 2> copies_;  // dense copies of inputs whose layout or alignment the driver refused
  InlineVector<TensorRef, 4> outputs_;
  InlineVector<KernelTensor, 8> tensors_;  // tensor inputs, then outputs
  InlineVector<lks_binding, 8> bindings_;
  InlineVector<std::uint64_t, 8> scalars_;
  InlineVector<std::uint8_t, 8> number_dtypes_;  // per operand: 1 + dtype of a number, else 0; may end early
  std::uint32_t input_count_ = 0;
  bool keeps_old_contents_ = false;
  bool submits_before_others_ = false;
  KernelLookup kernel_;
  BlockRef workspace_;
  lks_launch launch_{};
};

/// The bits of a number whose value is known, in `dtype`, in the low bits of the result.
std::uint64_t scalar_bits(const Scalar& scalar, lks_dtype dtype);

/// Asks a device, which need not be open, whether it has a kernel for the call on tensors of these specs. Of the
/// operands of `call`, only the kind (tensor, number or absent) is used.
KernelQuery query_kernel(const DeviceEntry& device, const OpCall& call, const CallTypes& types,
                         std::span<const TensorSpec> inputs, std::span<const TensorSpec> outputs,
                         MathMode mode = MathMode::strict);

/// Records the program of a pointwise call. Numbers become launch-time scalars. f16 and bf16 operands are converted to
/// f32 first; results that are f16 or bf16 in `output_dtypes` are converted from f32 last. `rank` is the rank of the
/// results. Throws ShapeError LS2004 if the program uses an index along an axis that the results do not have.
Program record_program(const OpCall& call, const CallTypes& types, std::span<const lks_dtype> output_dtypes, int rank);

/// The dtype of an op's own scalar i, given the dtypes of group T and of the first output.
lks_dtype own_scalar_dtype(const OpDef& op, std::size_t i, DType group, DType result);

}  // namespace lockstep
