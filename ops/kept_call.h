// Calls that are kept: prepared once, from an abstract call, and launched again and again with other tensors of the
// same layout and other numbers. A launch infers nothing, decides nothing and looks nothing up. A kept call computes
// what the eager call computes on the route "kernel", with the same kernel; observers such as tapes do not see its
// launches.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/launch.h"

namespace lockstep {

/// How a device carries out a call (docs/architecture.md). Only a call that is one kernel can be kept. For each of the
/// other routes the error says what to do instead.
enum class CallRoute : std::uint8_t {
  kernel,
  rewritten,       // tensors must be cast, or numbers become tensors: make these calls first
  view,            // the result shares memory with the first input: OpDef::view
  host_function,   // OpDef::host
  empty,           // no result has an element
  host_kernel,     // OpDef::kernels
  copies,          // the fill and the copies of OpDef::copy_plan
  copied_operand,  // the driver takes the call if an operand is a new, dense tensor: make a `copy` of it first
  promoted,        // the same call in f32, between casts
  decomposed,      // OpDef::decompose, if it does not refuse
  none,            // the device has neither a kernel nor another way
};

class KeptCall;

struct KeepAnswer {
  std::shared_ptr<const KeptCall> call;  // nullptr unless the route is `kernel`
  CallRoute route = CallRoute::kernel;
  int operand = -1;    // copied_operand: which one
  std::string reason;  // the driver's, if it refused the call
};

/// Prepares a call on a device, in the thread's math mode. Operands may be abstract tensors, which lie in memory as new
/// tensors do unless laid_out() or abstract_like() say otherwise; tensors with elements, of which only the layout is
/// used; and numbers, also those that are known only at launch. Tapes are not asked: a composite without a gradient
/// rule is kept if the device has a kernel for it. Throws what the call itself would, LS4101 for extents that are not
/// known, and LS3002 for tensors on another device.
KeepAnswer keep_call(const OpCall& call, DeviceState& device);

/// An abstract tensor whose elements have these strides, in elements, and whose first element has this alignment, in
/// bytes: a power of two, or 0 for that of a new tensor.
Tensor laid_out(const TensorSpec& spec, std::span<const std::int64_t> strides, std::uint64_t alignment = 0);
/// An abstract tensor with dtype, shape and layout of another one.
Tensor abstract_like(const Tensor& tensor);

/// Immutable, so that several threads may launch it at once. It keeps its kernel even if the kernel cache drops it. The
/// op must outlive it. Once the device is closed, it may only be destroyed.
class KeptCall {
 public:
  KeptCall(const KeptCall&) = delete;
  KeptCall& operator=(const KeptCall&) = delete;

  const OpDef& op() const { return op_; }
  DeviceState& device() const { return device_; }
  const Kernel& kernel() const { return *prepared_.kernel.get(); }
  /// The dtypes and shapes of its results.
  std::span<const TensorSpec> output_specs() const { return output_specs_; }
  /// The symbols that need a value at each launch, each once.
  std::vector<LaunchNumber> symbols() const;

  /// Launches it; see KeptLaunch. Afterwards `outputs` has all results.
  void launch(std::span<TensorImpl* const> inputs, std::span<TensorRef> outputs, const LaunchValues& values = {},
              CallSite where = CallSite::current()) const;

 private:
  friend class KeptLaunch;
  friend KeepAnswer keep_call(const OpCall& call, DeviceState& device);

  // Where the elements of an operand lie.
  struct Slot {
    TensorSpec spec;
    std::int64_t strides[max_rank] = {};
    std::int64_t offset = 0;  // has the alignment that is needed, in elements
    bool absent = false;
    std::string name;  // for errors

    KernelTensor tensor() const;
  };

  KeptCall(const OpDef& op, DeviceState& device) : op_(op), device_(device) {}
  void add_slots(const OpCall& call, std::span<const TensorSpec> outputs);
  bool find_kernel(const OpCall& call, const CallTypes& types);
  bool copy_may_help(const OpCall& call) const;
  int refused_operand(const OpCall& call) const;
  void check_fits(const Slot& slot, const TensorImpl& tensor, CallSite where) const;
  [[noreturn]] void fail(ErrorId id, const std::string& what, const char* fix, const Slot* slot,
                         const TensorImpl* tensor, CallSite where) const;

  const OpDef& op_;
  DeviceState& device_;
  std::vector<Slot> slots_;  // inputs without numbers, then outputs; `prepared_` points into it
  std::vector<TensorSpec> output_specs_;
  std::vector<int> in_place_inputs_;  // per output: which of the tensors that a launch is given, or -1
  std::size_t given_count_ = 0;       // tensors that a launch is given
  PreparedCall prepared_;
  std::vector<OpenNumber> open_;
};

/// A launch of a kept call that is ready to be submitted, alone or with others. Allocates nothing itself if all outputs
/// are given, the queue is inline, the kernel needs no workspace, and the call has at most eight tensors and numbers
/// each. All arguments must outlive it.
class KeptLaunch {
 public:
  /// `inputs` has the tensors of the call's operands in order; numbers and absent operands have none. `outputs` is
  /// empty, or has an entry per output: a tensor to write into, or nullptr for a new one. A tensor to write into must
  /// not overlap an input, unless the op updates that input in place; then it is that input, or nullptr. Throws,
  /// without any effect, ShapeError LS2011 for a wrong number of tensors, LS2010, LS2101, LS3002 or LS2014 for a tensor
  /// whose shape, dtype, device or layout the call was not kept for, LS4101 for an abstract one, LS1008 for an in-place
  /// output elsewhere, and what LaunchFormula::value() throws; also LS2007 for an integer that its operand's dtype
  /// cannot hold.
  KeptLaunch(const KeptCall& call, std::span<TensorImpl* const> inputs, std::span<const TensorRef> outputs,
             const LaunchValues& values, CallSite where);
  KeptLaunch(const KeptLaunch&) = delete;
  KeptLaunch& operator=(const KeptLaunch&) = delete;

  std::span<TensorRef> outputs() { return launch_.outputs(); }

  /// See Launch::submit().
  static void submit(std::span<KeptLaunch* const> launches, std::function<void()> undo = nullptr);

 private:
  void add_inputs(std::span<TensorImpl* const> inputs);
  void add_outputs(std::span<TensorImpl* const> inputs, std::span<const TensorRef> outputs);
  void set_numbers(const LaunchValues& values);

  const KeptCall& kept_;
  const OpCall call_;
  InlineVector<KernelTensor, 8> tensors_;
  InlineVector<std::uint64_t, 8> numbers_;
  Launch launch_;
};

}  // namespace lockstep
