// The pool on std::thread, for builds without OpenMP and for ThreadSanitizer, which does not understand libgomp.
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "api/internal/mutex.h"
#include "runtime/parallel.h"

namespace lockstep {
namespace {

class Pool {
 public:
  // The pool runs one job at a time. A second caller runs its job itself instead of waiting.
  void run(unsigned n, void (*piece)(void*, unsigned), void* arg) {
    if (!busy_.try_lock()) {
      for (unsigned i = 0; i < n; ++i) piece(arg, i);
      return;
    }
    const LockGuard busy(busy_, std::adopt_lock);
    {
      LockGuard lock(mutex_);
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
    LockGuard lock(mutex_);
    done_.wait(mutex_, [this]() LOCKSTEP_REQUIRES(mutex_) { return unfinished_ == 0; });
    count_ = 0;
  }

  ~Pool() {
    if (getpid() != process_) {  // in a forked child: the threads exist only in the parent
      for (std::thread& worker : workers_) worker.detach();
      return;
    }
    {
      LockGuard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

 private:
  void work() {
    std::uint64_t seen = 0;
    LockGuard lock(mutex_);
    while (true) {
      wake_.wait(mutex_, [&]() LOCKSTEP_REQUIRES(mutex_) { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
      const UnlockGuard unlocked(mutex_);
      take_pieces();
    }
  }

  void take_pieces() LOCKSTEP_EXCLUDES(mutex_) {
    while (true) {
      void (*piece)(void*, unsigned) = nullptr;
      void* arg = nullptr;
      unsigned index = 0;
      {
        LockGuard lock(mutex_);
        if (next_ >= count_) return;
        index = next_++;
        piece = piece_;
        arg = arg_;
      }
      piece(arg, index);
      LockGuard lock(mutex_);
      if (--unfinished_ == 0) done_.notify_all();
    }
  }

  const pid_t process_ = getpid();
  Mutex busy_;
  Mutex mutex_;
  ConditionVariable wake_, done_;
  std::vector<std::thread> workers_ LOCKSTEP_GUARDED_BY(mutex_);
  void (*piece_)(void*, unsigned) LOCKSTEP_GUARDED_BY(mutex_) = nullptr;
  void* arg_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;
  unsigned count_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  unsigned next_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  unsigned unfinished_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::uint64_t generation_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  bool stop_ LOCKSTEP_GUARDED_BY(mutex_) = false;
};

}  // namespace

void run_on_pool(unsigned n, void (*piece)(void* arg, unsigned index), void* arg) {
  static Pool pool;
  pool.run(n, piece, arg);
}

}  // namespace lockstep
