// The recursive mutex, which is our own. ThreadSanitizer checks that it orders what threads do.
#include "api/internal/mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

TEST(RecursiveMutex, LetsOneThreadInAtATimeAndThatAgain) {
  constexpr int threads = 4, rounds = 20000;
  RecursiveMutex mutex;
  int count = 0;
  std::atomic<int> inside{0}, most{0};
  const auto work = [&] {
    for (int i = 0; i < rounds; ++i) {
      const LockGuard outer(mutex);
      const LockGuard again(mutex);
      if (inside.fetch_add(1) > 0) most = 2;
      ++count;
      if (i % 64 == 0) std::this_thread::yield();  // others find the lock taken, and wait
      inside.fetch_sub(1);
    }
  };
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) all.emplace_back(work);
  for (std::thread& t : all) t.join();
  EXPECT_EQ(count, threads * rounds);
  EXPECT_EQ(most, 0) << "two threads were inside at once";
}

TEST(RecursiveMutex, StaysLockedUntilTheFirstLockIsReleased) {
  RecursiveMutex mutex;
  mutex.lock();
  mutex.lock();
  std::atomic<bool> entered{false};
  std::thread other([&] {
    const LockGuard lock(mutex);
    entered = true;
  });
  mutex.unlock();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(entered) << "one unlock of two";
  mutex.unlock();
  other.join();
  EXPECT_TRUE(entered);
}

}  // namespace
}  // namespace lockstep
