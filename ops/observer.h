// Whoever wants to see the ops of a thread: gradient tapes, later tracers.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "lockstep/op_def.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// What belongs to a thread, and may all the same be destroyed on another one.
struct OfThread {
  virtual ~OfThread() = default;
};

class OpObserver : public OfThread {
 public:
  /// After the call was carried out.
  virtual void record(const OpCall& call, std::span<const TensorRef> outputs) = 0;
  /// Whether a result of the call would be watched.
  virtual bool watches_any(const OpCall& call) const = 0;
  /// A value left the device for the host program.
  virtual void value_read(const TensorImpl& impl, const char* how, const std::source_location& where) = 0;
  /// Whether it wants to see updates of variables in place, too. These are told with copies of what they overwrote.
  virtual bool sees_updates() const { return false; }
};

/// Where a thread's observers and pauses come back to that were destroyed on another one: only their own thread may
/// change its list. Outlives the thread where somebody still holds it.
class ReturnedObservers {
 public:
  /// False where the thread has ended; `thing` is then the caller's to destroy.
  bool take(std::unique_ptr<OfThread>& thing) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    returned_.push_back(std::move(thing));
    any_.store(true, std::memory_order_release);
    return true;
  }
  bool any() const { return any_.load(std::memory_order_acquire); }
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  /// For the thread itself. Those who come back are destroyed outside of the lock.
  std::vector<std::unique_ptr<OfThread>> collect(bool close = false) {
    std::lock_guard lock(mutex_);
    any_.store(false, std::memory_order_relaxed);
    if (close) closed_.store(true, std::memory_order_release);
    return std::move(returned_);
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<OfThread>> returned_;
  std::atomic<bool> any_{false}, closed_{false};
};

/// The observers of a thread, outermost first. Those before `paused` see nothing for now.
struct OpObservers {
  std::vector<OpObserver*> list;
  std::size_t paused = 0;
  std::shared_ptr<ReturnedObservers> returned;  // made with the first that can come back

  ~OpObservers() {
    if (returned) returned->collect(true);
  }
  const std::shared_ptr<ReturnedObservers>& mailbox() {
    if (!returned) returned = std::make_shared<ReturnedObservers>();
    return returned;
  }
  /// Lets those go that were destroyed on other threads. Not while the list is gone through.
  void let_returned_go() {
    if (returned && returned->any()) [[unlikely]]
      returned->collect();
  }
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
