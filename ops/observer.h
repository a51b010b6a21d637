// Whoever wants to see the ops of a thread: gradient tapes, later tracers.
#pragma once

#include <vector>

#include "lockstep/op_def.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

class OpObserver {
 public:
  virtual ~OpObserver() = default;
  /// After the call was carried out.
  virtual void record(const OpCall& call, std::span<const TensorRef> outputs) = 0;
  /// Whether a result of the call would be watched.
  virtual bool watches_any(const OpCall& call) const = 0;
  /// A value left the device for the host program.
  virtual void value_read(const TensorImpl& impl, const char* how, const std::source_location& where) = 0;
};

struct OpObservers {
  std::vector<OpObserver*> list;  // outermost first
  int paused = 0;

  bool active() const { return !list.empty() && paused == 0; }
};

inline OpObservers& op_observers() {
  static thread_local OpObservers observers;
  return observers;
}

/// Nothing is recorded on this thread until the end of the scope.
class [[nodiscard]] PauseObservers {
 public:
  PauseObservers() { ++op_observers().paused; }
  ~PauseObservers() { --op_observers().paused; }
  PauseObservers(const PauseObservers&) = delete;
  PauseObservers& operator=(const PauseObservers&) = delete;
};

}  // namespace lockstep
