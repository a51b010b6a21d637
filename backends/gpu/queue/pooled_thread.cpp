#include "backends/gpu/queue/pooled_thread.h"

#include <memory>
#include <thread>
#include <utility>

#include "api/internal/mutex.h"

namespace gpu {

// Never destroyed: its detached thread waits for work until the process ends. The library must stay loaded.
struct PooledThread::Worker {
  static inline lockstep::Mutex idle_mutex;
  static inline Worker* first_idle LOCKSTEP_GUARDED_BY(idle_mutex) = nullptr;
  Worker* next_idle LOCKSTEP_GUARDED_BY(idle_mutex) = nullptr;

  lockstep::Mutex mutex;
  lockstep::ConditionVariable changed;
  std::function<void()> work LOCKSTEP_GUARDED_BY(mutex);  // empty: the worker is idle

  static Worker* of_new_thread() {
    auto worker = std::make_unique<Worker>();
    std::thread([w = worker.get()] { w->run(); }).detach();
    return worker.release();
  }

  static Worker* idle_or_new() {
    {
      const lockstep::LockGuard lock(idle_mutex);
      if (first_idle) return std::exchange(first_idle, first_idle->next_idle);
    }
    return of_new_thread();
  }

  void run() {
    const lockstep::LockGuard lock(mutex);
    while (true) {
      changed.wait(mutex, [this]() LOCKSTEP_REQUIRES(mutex) { return work != nullptr; });
      const auto* const set = &work;  // nobody else changes it while it is set, so it is called without the lock
      {
        const lockstep::UnlockGuard unlocked(mutex);
        (*set)();
      }
      work = nullptr;
      changed.notify_all();
    }
  }

  void begin(std::function<void()>&& wanted) {
    const lockstep::LockGuard lock(mutex);
    work = std::move(wanted);
    changed.notify_all();
  }

  void finish() {
    {
      const lockstep::LockGuard lock(mutex);
      changed.wait(mutex, [this]() LOCKSTEP_REQUIRES(mutex) { return work == nullptr; });
    }
    const lockstep::LockGuard lock(idle_mutex);
    next_idle = std::exchange(first_idle, this);
  }
};

PooledThread::~PooledThread() {
  if (joinable()) join();
}

void PooledThread::start(std::function<void()> work) {
  worker_ = Worker::idle_or_new();
  worker_->begin(std::move(work));
}

void PooledThread::join() { std::exchange(worker_, nullptr)->finish(); }

}  // namespace gpu
