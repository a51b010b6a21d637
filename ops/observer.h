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

  bool active() const { return !list.empty(); }
};

inline OpObservers& op_observers() {
  static thread_local OpObservers observers;
  return observers;
}

/// Nobody who observes this thread now sees what it does until the end of the scope; observers that come within the scope
/// do.
class [[nodiscard]] PauseObservers {
 public:
  PauseObservers() { paused_.swap(op_observers().list); }
  ~PauseObservers() { paused_.swap(op_observers().list); }
  PauseObservers(const PauseObservers&) = delete;
  PauseObservers& operator=(const PauseObservers&) = delete;

 private:
  std::vector<OpObserver*> paused_;
};

}  // namespace lockstep
