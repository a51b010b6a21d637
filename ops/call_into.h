// Calls that write into existing memory: updates of variables, and pieces of a new tensor.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "ops/launch.h"

namespace lockstep {

/// A call whose outputs are given. It passes the checks of invoke().
/// Neither copyable nor movable. The call, the outputs and what they point to must outlive it.
class CallInto {
 public:
  /// What the outputs hold if the call is found later to have failed on an asynchronous device. An output in place of
  /// an input is always restored.
  enum class OnFailure : std::uint8_t {
    no_contents,   // nothing: reading them throws
    old_contents,  // what they held before
  };

  /// Checks and plans the call, and copies of operands are made for observers. Nothing is written yet. `outputs` has
  /// one tensor per output of the op, possibly a view, of the dtype and shape that the call infers; for an output in
  /// place of an input, that input. Operands are tensors of the call's dtypes: nothing is promoted or decomposed.
  /// Throws what invoke() throws, and DTypeError LS2101, ShapeError LS2010 or DeviceError LS3002 if an output has
  /// another dtype or shape or lies on another device.
  CallInto(const OpCall& call, std::span<const TensorRef> outputs, OnFailure on_failure = OnFailure::no_contents)
      : CallInto(call, outputs, on_failure, false) {}
  CallInto(const CallInto&) = delete;
  CallInto& operator=(const CallInto&) = delete;

  /// Plans and submits one call, and notifies observers.
  static void run(const OpCall& call, std::span<const TensorRef> outputs,
                  OnFailure on_failure = OnFailure::no_contents);

  /// Submits calls of one device as one unit: all are enqueued, or none is and an exception is thrown. If the unit is
  /// found later to have failed, `undo` runs and outputs are restored as OnFailure says.
  static void submit(std::span<CallInto* const> calls, std::function<void()> undo = nullptr);

  /// After submit(): notifies observers that see updates. Throws if memory for their copies runs out.
  void notify() const;

 private:
  CallInto(const OpCall& call, std::span<const TensorRef> outputs, OnFailure on_failure, bool alone);
  void check_outputs();
  void plan(OnFailure on_failure, bool alone);

  const OpCall& call_;
  CallTypes types_;
  DeviceState& device_;
  std::span<const TensorRef> outputs_;
  std::optional<PlannedCall> planned_;  // none if no output has an element
  std::vector<TensorRef> before_;       // copies of the operands, if an observer sees updates
};

/// Copies of the operands of a call that will overwrite some of them. Empty if no observer sees updates.
std::vector<TensorRef> copies_for_observers(const OpCall& call);

/// Notifies observers that see updates: `call` has written `outputs`. `before` comes from copies_for_observers().
void notify_of_update(const OpCall& call, std::span<const TensorRef> before, std::span<const TensorRef> outputs);

}  // namespace lockstep
