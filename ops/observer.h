// Whoever wants to see the ops of a thread: gradient tapes, later tracers.
#pragma once

#include <algorithm>
#include <span>
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
  /// Whether it wants to see updates of variables in place, too. These are told with copies of what they overwrote.
  virtual bool sees_updates() const { return false; }
};

/// The observers of a thread, outermost first. Those before `paused` see nothing for now.
struct OpObservers {
  std::vector<OpObserver*> list;
  std::size_t paused = 0;

  bool active() const { return list.size() > paused; }
  std::span<OpObserver* const> watching() const { return std::span(list).subspan(paused); }
  void add(OpObserver* observer) { list.push_back(observer); }
  void remove(OpObserver* observer) {
    const auto at = std::find(list.begin(), list.end(), observer);
    if (at == list.end()) return;
    if (static_cast<std::size_t>(at - list.begin()) < paused) --paused;
    list.erase(at);
  }
};

inline OpObservers& op_observers() {
  static thread_local OpObservers observers;
  return observers;
}

/// Nobody who observes this thread now sees what it does until the end of the scope; observers that come within the
/// scope do.
class [[nodiscard]] PauseObservers {
 public:
  PauseObservers() : before_(op_observers().paused) { op_observers().paused = op_observers().list.size(); }
  ~PauseObservers() { op_observers().paused = std::min(before_, op_observers().list.size()); }
  PauseObservers(const PauseObservers&) = delete;
  PauseObservers& operator=(const PauseObservers&) = delete;

 private:
  std::size_t before_;
};

}  // namespace lockstep
