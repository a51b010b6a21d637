// A pool of reusable threads. NVIDIA's driver (580.159) keeps some 320 bytes for every thread that has ever submitted,
// until the process ends, so threads are reused instead of ended.
#pragma once

#include <functional>

namespace gpu {

/// Like std::jthread: the destructor joins.
class PooledThread {
 public:
  PooledThread() = default;
  ~PooledThread();
  PooledThread(const PooledThread&) = delete;
  PooledThread& operator=(const PooledThread&) = delete;

  bool joinable() const { return worker_ != nullptr; }
  /// `work` must not throw. Throws std::system_error if no thread can be created, std::bad_alloc.
  void start(std::function<void()> work);
  /// Returns once the work is done.
  void join();

 private:
  struct Worker;

  Worker* worker_ = nullptr;
};

}  // namespace gpu
