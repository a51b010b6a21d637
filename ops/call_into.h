// Calls that write into existing memory: updates of variables, and pieces of a new tensor.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "ops/launch.h"

namespace lockstep {

/// A call whose outputs are given. The caller has checked what invoke() checks: no fork, `types` are the dtypes of the
/// operands, these are tensors on `device` that have contents, and `outputs` has one tensor per output of the op,
/// possibly a view, of the dtype and shape that the call infers; for an output in place of an input, that input.
/// Neither copyable nor movable. The arguments and what they point to must outlive it.
class CallInto {
 public:
  /// What the outputs hold if the call is found later to have failed on an asynchronous device. An output in place of
  /// an input is always restored.
  enum class OnFailure : std::uint8_t {
    no_contents,   // nothing: reading them throws
    old_contents,  // what they held before
  };

  /// Plans the call, and makes copies of operands if an observer sees updates. Nothing is written yet. Throws
  /// UnsupportedError LS6001 if the device has no kernel for the call (nothing is promoted or decomposed), LS6002 if it
  /// does not offer the thread's math mode.
  CallInto(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs,
           OnFailure on_failure = OnFailure::no_contents)
      : CallInto(call, types, device, outputs, on_failure, false) {}
  CallInto(const CallInto&) = delete;
  CallInto& operator=(const CallInto&) = delete;

  /// Plans and submits one call, and notifies observers.
  static void run(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs,
                  OnFailure on_failure = OnFailure::no_contents);

  /// Submits calls of one device as one unit: all are enqueued, or none is and an exception is thrown. If the unit is
  /// found later to have failed, `undo` runs and outputs are restored as OnFailure says.
  static void submit(std::span<CallInto* const> calls, std::function<void()> undo = nullptr);

  /// After submit(): notifies observers that see updates. Throws if memory for their copies runs out.
  void notify() const;

 private:
  CallInto(const OpCall& call, const CallTypes& types, DeviceState& device, std::span<const TensorRef> outputs,
           OnFailure on_failure, bool alone);

  const OpCall& call_;
  DeviceState& device_;
  const std::span<const TensorRef> outputs_;
  const std::vector<TensorRef> before_;  // copies of the operands, if an observer sees updates
  PlannedCall planned_;
};

/// Copies of the operands of a call that will overwrite some of them. Empty if no observer sees updates.
std::vector<TensorRef> copies_for_observers(const OpCall& call);

/// Notifies observers that see updates: `call` has written `outputs`. `before` comes from copies_for_observers().
void notify_of_update(const OpCall& call, std::span<const TensorRef> before, std::span<const TensorRef> outputs);

}  // namespace lockstep
