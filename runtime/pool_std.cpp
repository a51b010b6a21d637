// The pool on std::thread, for builds without OpenMP and for ThreadSanitizer, which does not understand libgomp.
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/parallel.h"

namespace lockstep {
namespace {

class Pool {
 public:
  // The pool runs one job at a time. A second caller runs its job itself instead of waiting.
  void run(unsigned n, void (*piece)(void*, unsigned), void* arg) {
    std::unique_lock busy(busy_, std::try_to_lock);
    if (!busy) {
      for (unsigned i = 0; i < n; ++i) piece(arg, i);
      return;
    }
    {
      std::lock_guard lock(mutex_);
      while (workers_.size() + 1 < n) workers_.emplace_back([this] { work(); });
      piece_ = piece;
      arg_ = arg;
      count_ = n;
      next_ = 0;
      unfinished_ = n;
      ++generation_;
    }
    wake_.notify_all();
    take_pieces();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return unfinished_ == 0; });
    count_ = 0;
  }

  ~Pool() {
    if (getpid() != process_) {  // in a forked child: the threads exist only in the parent
      for (std::thread& worker : workers_) worker.detach();
      return;
    }
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

 private:
  void work() {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
      lock.unlock();
      take_pieces();
      lock.lock();
    }
  }

  void take_pieces() {
    while (true) {
      void (*piece)(void*, unsigned) = nullptr;
      void* arg = nullptr;
      unsigned index = 0;
      {
        std::lock_guard lock(mutex_);
        if (next_ >= count_) return;
        index = next_++;
        piece = piece_;
        arg = arg_;
      }
      piece(arg, index);
      std::lock_guard lock(mutex_);
      if (--unfinished_ == 0) done_.notify_all();
    }
  }

  const pid_t process_ = getpid();
  std::mutex busy_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  void (*piece_)(void*, unsigned) = nullptr;
  void* arg_ = nullptr;
  unsigned count_ = 0, next_ = 0, unfinished_ = 0;
  std::uint64_t generation_ = 0;
  bool stop_ = false;
};

}  // namespace

void run_on_pool(unsigned n, void (*piece)(void* arg, unsigned index), void* arg) {
  static Pool pool;
  pool.run(n, piece, arg);
}

}  // namespace lockstep
