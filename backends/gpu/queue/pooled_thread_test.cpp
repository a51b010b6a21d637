// Tests that pooled threads are reused, and that no two users share one at the same time.
#include "backends/gpu/queue/pooled_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

namespace gpu {
namespace {

std::thread::id thread_of_some_work() {
  std::thread::id id;
  PooledThread thread;
  thread.start([&] { id = std::this_thread::get_id(); });
  thread.join();
  return id;
}

TEST(PooledThreads, are_used_again) {
  const std::thread::id first = thread_of_some_work();
  EXPECT_NE(first, std::this_thread::get_id());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(thread_of_some_work(), first);
}

TEST(PooledThreads, do_one_thing_at_a_time) {
  std::promise<void> go_on;
  std::thread::id waiting;
  PooledThread first;
  first.start([&] {
    waiting = std::this_thread::get_id();
    go_on.get_future().wait();
  });
  const std::thread::id other = thread_of_some_work();
  go_on.set_value();
  first.join();
  EXPECT_NE(waiting, other);
  EXPECT_FALSE(first.joinable());
}

TEST(PooledThreads, are_waited_for_where_nobody_joined) {
  std::atomic<bool> done = false;
  {
    PooledThread thread;
    thread.start([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      done = true;
    });
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace gpu
