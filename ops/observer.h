// Observers of the ops that a thread runs, such as gradient tapes.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "api/internal/mutex.h"
#include "lockstep/op_def.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// An object that belongs to one thread but may be destroyed on another.
struct ThreadBound {
  virtual ~ThreadBound() = default;
};

class OpObserver : public ThreadBound {
 public:
  /// Called after the call has run.
  virtual void record(const OpCall& call, std::span<const TensorRef> outputs) = 0;
  /// Whether the observer would watch a result of the call.
  virtual bool watches_any(const OpCall& call) const = 0;
  /// Called when the host program reads a tensor's value.
  virtual void value_read(const TensorImpl& impl, const char* how, CallSite where) = 0;
  /// Whether it also observes updates of variables: the steps of optimizers, and assignments, which are calls of `copy`
  /// whose output has a variable. They are recorded with copies of what they read and of what they wrote.
  virtual bool sees_updates() const { return false; }
};

/// Collects a thread's observers and pauses that were destroyed on other threads, because only the owning thread may
/// change its list. May outlive the thread.
class ReturnedObservers {
 public:
  /// Takes over `thing`. Returns false if the thread has ended; then the caller keeps `thing` and destroys it.
  bool take(std::unique_ptr<ThreadBound>& thing) {
    LockGuard lock(mutex_);
    if (closed_) return false;
    returned_.push_back(std::move(thing));
    any_.store(true, std::memory_order_release);
    return true;
  }
  bool any() const { return any_.load(std::memory_order_acquire); }
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  /// Called by the owning thread. The caller destroys the returned objects, outside the lock.
  std::vector<std::unique_ptr<ThreadBound>> collect(bool close = false) {
    LockGuard lock(mutex_);
    any_.store(false, std::memory_order_relaxed);
    if (close) closed_.store(true, std::memory_order_release);
    return std::move(returned_);
  }

 private:
  Mutex mutex_;
  std::vector<std::unique_ptr<ThreadBound>> returned_ LOCKSTEP_GUARDED_BY(mutex_);
  std::atomic<bool> any_{false}, closed_{false};
};

/// One pause of a thread. It pauses the observers before index `end`: those that were there when it began.
struct ObserverPause {
  ObserverPause* older = nullptr;
  std::size_t end = 0;
};

/// The observers of a thread, outermost first. Those before index `paused` currently observe nothing. Observers and
/// pauses may end in any order.
struct OpObservers {
  std::vector<OpObserver*> list;
  std::size_t paused = 0;                       // the end of the newest pause
  ObserverPause* newest = nullptr;              // of the pauses that have not ended; no older one has a larger end
  std::shared_ptr<ReturnedObservers> returned;  // made with the first object that can be returned

  ~OpObservers() {
    if (returned) returned->collect(true);
  }
  const std::shared_ptr<ReturnedObservers>& returned_queue() {
    if (!returned) returned = std::make_shared<ReturnedObservers>();
    return returned;
  }
  /// Destroys the objects that other threads returned. Must not be called while the list is iterated.
  void destroy_returned() {
    if (returned && returned->any()) [[unlikely]]
      returned->collect();
  }
  bool active() const { return list.size() > paused; }
  std::span<OpObserver* const> watching() const { return std::span(list).subspan(paused); }
  void add(OpObserver* observer) { list.push_back(observer); }
  void remove(OpObserver* observer) {
    const auto at = std::find(list.begin(), list.end(), observer);
    if (at == list.end()) return;
    const auto index = static_cast<std::size_t>(at - list.begin());
    for (ObserverPause* pause = newest; pause; pause = pause->older) {
      if (index < pause->end) --pause->end;
    }
    list.erase(at);
    paused = newest ? newest->end : 0;
  }
  void begin(ObserverPause& pause) {
    pause = {newest, list.size()};
    newest = &pause;
    paused = pause.end;
  }
  void end(const ObserverPause& pause) {
    ObserverPause** at = &newest;
    while (*at != &pause) at = &(*at)->older;
    *at = pause.older;
    paused = newest ? newest->end : 0;
  }
};

inline OpObservers& op_observers() {
  static thread_local OpObservers observers;
  return observers;
}

/// Pauses all current observers of this thread until the end of the scope. Observers that are added within the scope
/// are not paused.
class [[nodiscard]] PauseObservers {
 public:
  PauseObservers() { op_observers().begin(pause_); }
  ~PauseObservers() { op_observers().end(pause_); }
  PauseObservers(const PauseObservers&) = delete;
  PauseObservers& operator=(const PauseObservers&) = delete;

 private:
  ObserverPause pause_;
};

}  // namespace lockstep
