// Mutexes that Clang checks at compile time: a field that is used without its lock, or a function that is called
// without the lock that it expects, is an error (tools/thread_safety). Those of libstdc++ have no annotations. All but
// the recursive one, which is our own, wrap them. Other compilers see no annotations, and the wrappers cost nothing at
// run time.
//
// The runtime, the ops and our drivers share this header. It is not installed.
#pragma once

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define LOCKSTEP_ANNOTATION(...) __attribute__((__VA_ARGS__))
#else
#define LOCKSTEP_ANNOTATION(...)
#endif

/// Of a field or a variable: it is used only with the lock.
#define LOCKSTEP_GUARDED_BY(mutex) LOCKSTEP_ANNOTATION(guarded_by(mutex))
/// Of a function: its caller has the lock. On a lambda, between the parameters, which may not be left out, and the
/// body.
#define LOCKSTEP_REQUIRES(...) LOCKSTEP_ANNOTATION(requires_capability(__VA_ARGS__))
/// Of a function that takes the lock itself: its caller does not have it.
#define LOCKSTEP_EXCLUDES(...) LOCKSTEP_ANNOTATION(locks_excluded(__VA_ARGS__))
/// Of a function: takes or releases the lock; without an argument, that of the object.
#define LOCKSTEP_ACQUIRE(...) LOCKSTEP_ANNOTATION(acquire_capability(__VA_ARGS__))
#define LOCKSTEP_ACQUIRE_SHARED(...) LOCKSTEP_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define LOCKSTEP_TRY_ACQUIRE(...) LOCKSTEP_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define LOCKSTEP_RELEASE(...) LOCKSTEP_ANNOTATION(release_capability(__VA_ARGS__))
#define LOCKSTEP_RELEASE_SHARED(...) LOCKSTEP_ANNOTATION(release_shared_capability(__VA_ARGS__))
/// Of a function that the analysis cannot follow. A comment says why.
#define LOCKSTEP_NO_THREAD_SAFETY_ANALYSIS LOCKSTEP_ANNOTATION(no_thread_safety_analysis)

namespace lockstep {

class LOCKSTEP_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() LOCKSTEP_ACQUIRE() { native_.lock(); }
  void unlock() LOCKSTEP_RELEASE() { native_.unlock(); }
  [[nodiscard]] bool try_lock() LOCKSTEP_TRY_ACQUIRE(true) { return native_.try_lock(); }
  /// For code that is called back with the lock held: the analysis takes that for granted.
  void assume_held() const LOCKSTEP_ANNOTATION(assert_capability(this)) {}

 private:
  friend class ConditionVariable;
  std::mutex native_;
};

/// The analysis does not see that a thread takes it again. Our own, because each eager call takes one, the allocator's:
/// without contention, locking and unlocking are inlined, with one locked instruction each; the only call is that of
/// pthread_self(), which reads a register. No condition variable can wait with it.
class LOCKSTEP_ANNOTATION(capability("mutex")) RecursiveMutex {
 public:
  /// See Mutex.
  void assume_held() const LOCKSTEP_ANNOTATION(assert_capability(this)) {}
  void lock() LOCKSTEP_ACQUIRE() {
    const pthread_t self = pthread_self();
    if (owner_.load(std::memory_order_relaxed) == self) {  // only this thread can have stored that
      ++depth_;
      return;
    }
    std::uint32_t expected = unlocked;
    if (!state_.compare_exchange_strong(expected, locked, std::memory_order_acquire, std::memory_order_relaxed))
        [[unlikely]]
      wait_for_lock();
    owner_.store(self, std::memory_order_relaxed);
  }
  void unlock() LOCKSTEP_RELEASE() {
    if (depth_ > 0) {
      --depth_;
      return;
    }
    owner_.store(pthread_t{}, std::memory_order_relaxed);
    if (state_.exchange(unlocked, std::memory_order_release) == contended) [[unlikely]]
      state_.notify_one();
  }

 private:
  static constexpr std::uint32_t unlocked = 0, locked = 1, contended = 2;  // contended: locked, and others may wait

  // A thread that has waited cannot know whether others still do, so it leaves the state `contended`.
  void wait_for_lock() {
    while (state_.exchange(contended, std::memory_order_acquire) != unlocked) {
      state_.wait(contended, std::memory_order_relaxed);
    }
  }

  std::atomic<std::uint32_t> state_{unlocked};
  std::atomic<pthread_t> owner_{};
  std::uint32_t depth_ = 0;  // how often the owner has taken it again
};

class LOCKSTEP_ANNOTATION(capability("mutex")) SharedMutex {
 public:
  void lock() LOCKSTEP_ACQUIRE() { native_.lock(); }
  void unlock() LOCKSTEP_RELEASE() { native_.unlock(); }
  void lock_shared() LOCKSTEP_ACQUIRE_SHARED() { native_.lock_shared(); }
  void unlock_shared() LOCKSTEP_RELEASE_SHARED() { native_.unlock_shared(); }

 private:
  std::shared_mutex native_;
};

/// Has the lock until the end of the scope.
template <class AnyMutex>
class LOCKSTEP_ANNOTATION(scoped_lockable) LockGuard {
 public:
  explicit LockGuard(AnyMutex& mutex) LOCKSTEP_ACQUIRE(mutex) : mutex_(mutex) { mutex.lock(); }
  /// Takes over a lock that the caller has.
  LockGuard(AnyMutex& mutex, std::adopt_lock_t) LOCKSTEP_REQUIRES(mutex) : mutex_(mutex) {}
  ~LockGuard() LOCKSTEP_RELEASE() { mutex_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  AnyMutex& mutex_;
};

/// The same for a lock that several readers may have.
class LOCKSTEP_ANNOTATION(scoped_lockable) SharedLockGuard {
 public:
  explicit SharedLockGuard(SharedMutex& mutex) LOCKSTEP_ACQUIRE_SHARED(mutex) : mutex_(mutex) { mutex.lock_shared(); }
  ~SharedLockGuard() LOCKSTEP_RELEASE() { mutex_.unlock_shared(); }
  SharedLockGuard(const SharedLockGuard&) = delete;
  SharedLockGuard& operator=(const SharedLockGuard&) = delete;

 private:
  SharedMutex& mutex_;
};

/// Releases a lock that the caller has, and takes it again at the end of the scope.
template <class AnyMutex>
class LOCKSTEP_ANNOTATION(scoped_lockable) UnlockGuard {
 public:
  explicit UnlockGuard(AnyMutex& mutex) LOCKSTEP_RELEASE(mutex) : mutex_(mutex) { mutex.unlock(); }
  ~UnlockGuard() LOCKSTEP_RELEASE() { mutex_.lock(); }  // the annotation means: undoes what the constructor did
  UnlockGuard(const UnlockGuard&) = delete;
  UnlockGuard& operator=(const UnlockGuard&) = delete;

 private:
  AnyMutex& mutex_;
};

/// Waits with a mutex that the caller has locked, and has it locked again afterwards.
class ConditionVariable {
 public:
  void notify_one() noexcept { native_.notify_one(); }
  void notify_all() noexcept { native_.notify_all(); }

  void wait(Mutex& mutex) LOCKSTEP_REQUIRES(mutex) {
    std::unique_lock lock(mutex.native_, std::adopt_lock);
    native_.wait(lock);
    lock.release();
  }
  /// Waits until `holds` returns true. The analysis cannot tell that the mutex that `holds` requires is this one.
  template <class Predicate>
  void wait(Mutex& mutex, Predicate holds) LOCKSTEP_REQUIRES(mutex) LOCKSTEP_NO_THREAD_SAFETY_ANALYSIS {
    while (!holds()) wait(mutex);
  }
  /// The same, with a time limit. Returns what `holds` returned last.
  template <class Rep, class Period, class Predicate>
  bool wait_for(Mutex& mutex, const std::chrono::duration<Rep, Period>& limit, Predicate holds)
      LOCKSTEP_REQUIRES(mutex) LOCKSTEP_NO_THREAD_SAFETY_ANALYSIS {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!holds()) {
      std::unique_lock lock(mutex.native_, std::adopt_lock);
      const std::cv_status status = native_.wait_until(lock, end);
      lock.release();
      if (status == std::cv_status::timeout) return holds();
    }
    return true;
  }

 private:
  std::condition_variable native_;
};

}  // namespace lockstep
