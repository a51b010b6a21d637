// Threads that are kept when their work is done, and do the next work that comes: NVIDIA's driver (580.159) keeps some
// 320 bytes for every thread that has ever submitted, as long as the process lives.
#pragma once

#include <functional>

namespace vulkan {

/// Like std::jthread.
class KeptThread {
 public:
  KeptThread() = default;
  ~KeptThread();
  KeptThread(const KeptThread&) = delete;
  KeptThread& operator=(const KeptThread&) = delete;

  bool joinable() const { return worker_ != nullptr; }
  /// `work` must not throw. Throws std::system_error where there can be no more threads, std::bad_alloc.
  void start(std::function<void()> work);
  /// Returns once the work is done.
  void join();

 private:
  struct Worker;

  Worker* worker_ = nullptr;
};

}  // namespace vulkan
