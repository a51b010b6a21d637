// Turns a call into a launch: finds the kernel and binds memory. Submitting is a separate step, so that several calls
// can be planned first and submitted as one unit.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "ops/call_types.h"
#include "ops/kernel_description.h"
#include "ops/launch_number.h"
#include "ops/observer.h"
#include "runtime/device_state.h"
#include "runtime/inline_vector.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// A number slot whose value is computed at each launch.
struct OpenNumber {
  std::uint32_t slot = 0;        // in PreparedCall::numbers
  lks_dtype dtype = 0;           // that the kernel gets
  std::optional<DType> operand;  // the dtype of a number that is an operand, which must hold it
  LaunchFormula formula;
};

/// What stays the same between the launches of a call: a kernel, operand slots and number slots. A call that is made at
/// once has one on the stack, a KeptCall owns one. Its operand slots refer to extents and strides elsewhere.
struct PreparedCall {
  InlineVector<KernelTensor, 8> tensors;        // tensor inputs and absent ones, then outputs
  InlineVector<std::uint64_t, 8> numbers;       // bits: operands that are numbers, then the op's own
  InlineVector<std::uint8_t, 8> number_dtypes;  // per operand: 1 + dtype of a number, else 0; may end early
  std::uint32_t input_count = 0;                // of `tensors`
  KernelLookup kernel;

  /// Adds the slots of all inputs and numbers. A number that is known only at launch is added to `open`; without that
  /// it is refused with TraceError LS4101.
  void add_inputs(const OpCall& call, const CallTypes& types, std::vector<OpenNumber>* open = nullptr);
  /// Finds or prepares the kernel for the thread's math mode. Returns false if the driver refuses; `kernel` then has
  /// the reason. `borrows`: see KernelRequest. Inline, as what follows, because each eager call runs it.
  bool find_kernel(const OpCall& call, const CallTypes& types, DeviceState& device, bool borrows);

 private:
  void add_number(const OpCall& call, const Scalar& number, lks_dtype dtype, std::optional<DType> operand,
                  std::vector<OpenNumber>* open);
};

inline bool PreparedCall::find_kernel(const OpCall& call, const CallTypes& types, DeviceState& device, bool borrows) {
  const DescribedCall described{call, types};
  KernelRequest r;
  r.op = call.op.identity.number();
  r.number_dtypes = number_dtypes;
  r.attrs = call.attrs;
  r.attrs_size = static_cast<std::uint32_t>(call.op.attrs.size);
  r.mode = math_mode();
  r.tensors = tensors;
  r.input_count = input_count;
  r.borrows = borrows;
  r.describe = &describe_call;
  r.context = &described;
  kernel = device.kernels().find(r, {call.op.name, &call.where});
  return kernel.get() != nullptr;
}

/// One launch of a prepared call: the memory and numbers that it binds. Neither copyable nor movable, because the
/// driver's structure points into it. Of `call`, only the op and the caller's line are used. All arguments must outlive
/// it.
class Launch {
 public:
  Launch(const OpCall& call, DeviceState& device, const PreparedCall& prepared)
      : call_(call), device_(device), prepared_(prepared) {}
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  /// The given outputs keep their old contents if the command fails later. For outputs in a variable's memory.
  void keep_old_contents() { keeps_old_contents_ = true; }

  InlineVector<TensorRef, 4>& outputs() { return outputs_; }

  /// Binds tensors, which have memory, and numbers, as many as the slots, and allocates the workspace. They must
  /// outlive this object.
  void bind(std::span<const KernelTensor> tensors, std::span<const std::uint64_t> numbers);

  /// Submits bound launches on one device as one unit: all are enqueued, or none is and an exception is thrown. If they
  /// are found later to have failed on an asynchronous queue, `undo` runs and memory written in place is restored.
  static void submit(std::span<Launch* const> launches, DeviceState& device, std::function<void()> undo = nullptr);

 private:
  static std::shared_ptr<const void> kernels_of(std::span<Launch* const> launches);
  bool is_restored(std::size_t output) const;
  void verify_contents(CommandQueue& queue) const;
  void follow_other_streams(CommandQueue& queue) const;
  void note_reads(CommandQueue& queue, std::uint64_t value) const;

  const OpCall& call_;
  DeviceState& device_;
  const PreparedCall& prepared_;
  InlineVector<TensorRef, 4> outputs_;
  std::span<const KernelTensor> tensors_;
  InlineVector<lks_binding, 8> bindings_;
  bool keeps_old_contents_ = false;
  BlockRef workspace_;
  lks_launch launch_{};
};

/// Whether elements lie as those of a new tensor on the device, in layout and alignment, so that a copy would not help.
inline bool has_fresh_layout(const DeviceState& device, DType dtype, bool dense, std::int64_t offset) {
  return dense && static_cast<std::uint64_t>(offset) * size_of(dtype) % device.info().min_alignment == 0;
}

/// A new output without memory. `in_place_of` is the input that it is updated in place of, or nullptr.
inline TensorRef new_output(const OpCall& call, DeviceState& device, const TensorSpec& spec,
                            const TensorImpl* in_place_of) {
  TensorRef out = TensorRef::adopt(new TensorImpl);
  out->dtype = spec.dtype;
  out->shape = spec.shape;
  out->id = next_tensor_id();
  out->device = &device;
  out->producer = call.op.name.c_str();
  out->scope = current_scope();
  fill_dense_strides(out->shape, out->strides);
  if (in_place_of) std::copy_n(in_place_of->strides, max_rank, out->strides);
  return out;
}

/// Gives an output the memory of `in_place_of`, or new memory if that is nullptr.
inline void give_memory(TensorImpl& output, const OpCall& call, const TensorImpl* in_place_of) {
  if (in_place_of) {
    output.block = in_place_of->block;
    output.offset = in_place_of->offset;
    std::copy_n(in_place_of->strides, max_rank, output.strides);
    output.dense = in_place_of->dense;
  } else {
    const TensorSpec spec{output.dtype, output.shape};
    output.block = allocate_elements(*output.device, spec, {.label = call.op.name.c_str(), .where = &call.where});
  }
}

/// A call that is made at once: it is ready to be submitted after plan(). The call and its dtypes must outlive it.
class PlannedCall {
 public:
  PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorSpec> specs);
  /// The same, writing into existing tensors, which may be views.
  PlannedCall(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs);
  PlannedCall(const PlannedCall&) = delete;
  PlannedCall& operator=(const PlannedCall&) = delete;

  /// The call is submitted, or dropped, before this thread plans another one. Then plan() is a little faster.
  void submit_before_others() { submits_before_others_ = true; }

  /// Finds or prepares the kernel, and allocates outputs and workspace. In-place outputs use their input's memory.
  /// Returns false if the driver refuses the call; `refusal()` then gives the reason. Throws if memory runs out or a
  /// driver fails.
  bool plan();

  const KernelRefusal& refusal() const { return prepared_.kernel.refusal(); }
  /// The same, for use after this object is gone.
  KernelLookup take_answer() { return std::move(prepared_.kernel); }
  std::span<TensorRef> outputs() { return launch_.outputs(); }
  /// To be submitted.
  Launch& launch() { return launch_; }

 private:
  bool copy_input(std::int32_t operand);
  const TensorImpl* in_place_input(std::size_t output) const;

  const OpCall& call_;
  const CallTypes& types_;
  DeviceState& device_;
  PreparedCall prepared_;
  Launch launch_;
  InlineVector<TensorRef, 2> copies_;  // dense copies of inputs whose layout or alignment the driver refused
  bool submits_before_others_ = false;
};

/// The bits of a number whose value is known, in `dtype`, in the low bits of the result.
std::uint64_t scalar_bits(const Scalar& scalar, lks_dtype dtype);

}  // namespace lockstep
