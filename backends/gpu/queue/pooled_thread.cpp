#include "backends/gpu/queue/pooled_thread.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace gpu {

// Never destroyed: its detached thread waits for work until the process ends. The library must stay loaded.
struct PooledThread::Worker {
  static inline std::mutex idle_mutex;
  static inline Worker* first_idle = nullptr;
  Worker* next_idle = nullptr;

  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> work;  // empty: the worker is idle

  static Worker* of_new_thread() {
    auto worker = std::make_unique<Worker>();
    std::thread([w = worker.get()] { w->run(); }).detach();
    return worker.release();
  }

  static Worker* idle_or_new() {
    {
      const std::lock_guard lock(idle_mutex);
      if (first_idle) return std::exchange(first_idle, first_idle->next_idle);
    }
    return of_new_thread();
  }

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return work != nullptr; });
      lock.unlock();
      work();
      lock.lock();
      work = nullptr;
      changed.notify_all();
    }
  }

  void begin(std::function<void()>&& wanted) {
    const std::lock_guard lock(mutex);
    work = std::move(wanted);
    changed.notify_all();
  }

  void finish() {
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return work == nullptr; });
    }
    const std::lock_guard lock(idle_mutex);
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
