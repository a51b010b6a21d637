// From a call to a launch: finding the kernel and binding memory, separate from submitting, so that several calls can
// be planned first and submitted as one unit.
#pragma once

#include <span>

#include "ops/call_types.h"
#include "ops/observer.h"
#include "runtime/device_state.h"
#include "runtime/inline_vector.h"

namespace lockstep {

/// A call that needs nothing more but to be submitted. Neither copyable nor movable: the launch points into it. The
/// call and its dtypes outlive it.
class PlannedCall {
 public:
  PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const Spec> specs);
  /// The same, writing into existing tensors, which may be views.
  PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs);
  PlannedCall(const PlannedCall&) = delete;
  PlannedCall& operator=(const PlannedCall&) = delete;

  /// The given outputs keep what they hold if the command fails later: they are no fresh memory, but a variable's.
  void keep_old_contents() { keeps_old_contents_ = true; }

  /// Finds or prepares the kernel, allocates outputs (those in place take their input's memory) and workspace. Returns
  /// false where the driver refuses; `refusal()` then says why. Throws where memory or a driver fails.
  bool plan();

  const KernelLookup& refusal() const { return kernel_; }
  std::span<TensorRef> outputs() { return outputs_; }

  /// Submits planned calls of one device as one unit: all are enqueued, or none and an exception is thrown. `undo` runs
  /// if they turn out, later, to have failed on an asynchronous queue; memory written in place is then as before.
  static void submit(std::span<PlannedCall* const> calls, DeviceState& device, std::function<void()> undo = nullptr);

 private:
  void bind_inputs();
  KernelRequest request() const;
  bool lies_like_new(const TensorImpl& tensor) const;
  bool copy_input(std::int32_t operand);
  void bind();
  bool is_restored(std::size_t output) const;
  void verify_contents(CommandQueue& queue) const;

  const OpCall& call_;
  const CallTypes& types_;
  DeviceState& device_;
  InlineVector<TensorRef, 2> copies_;  // of inputs whose layout or alignment was refused
  InlineVector<TensorRef, 4> outputs_;
  InlineVector<KernelTensor, 8> tensors_;  // the tensors among the inputs, then outputs
  InlineVector<lks_binding, 8> bindings_;
  InlineVector<std::uint64_t, 8> scalars_;
  InlineVector<std::uint8_t, 8> number_dtypes_;  // per operand 1 + the dtype of a number; empty where there is none
  std::uint32_t input_count_ = 0;
  bool keeps_old_contents_ = false;
  KernelLookup kernel_;
  BlockRef workspace_;
  lks_launch launch_{};
};

/// The bits of a number in a dtype, and their form in Scalar.
std::uint64_t scalar_bits(const Scalar& scalar, lks_dtype dtype);

/// Asks a device, which need not be open, whether it has a kernel for the call on tensors of these specs. Operands of
/// `call` count only as number or tensor.
KernelLookup query_kernel(const DeviceEntry& device, const OpCall& call, const CallTypes& types,
                          std::span<const Spec> inputs, std::span<const Spec> outputs,
                          MathMode mode = MathMode::strict);

/// The program that a pointwise call amounts to: numbers become launch-time scalars. f16 and bf16 operands are
/// converted to f32 first, and f32 results to the f16 and bf16 among `output_dtypes` last. `rank` is that of the
/// results. Throws ShapeError LS2004 where the program asks for an index along an axis that they do not have.
Program record_program(const OpCall& call, const CallTypes& types, std::span<const lks_dtype> output_dtypes, int rank);

/// The dtype of an op's own scalar i, for these dtypes of group T and of the first output.
lks_dtype own_scalar_dtype(const OpDef& op, std::size_t i, DType group, DType result);

}  // namespace lockstep
