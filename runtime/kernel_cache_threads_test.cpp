// Tests the kernel cache with several threads: no call waits for the driver's answer to another one.
#include <condition_variable>
#include <future>
#include <thread>

#include "lockstep/lockstep.h"
#include "runtime/kernel_script.h"

namespace lockstep {
namespace {

using Call = ScriptedCall;
using namespace std::chrono_literals;

// A point that threads pass after it was opened. Waiting for longer than a minute fails the test.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 60s, [this] { return open_; })) << "a thread waits for ever";
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

class KernelThreads : public KernelCacheTest {
 protected:
  // Looks up on another thread.
  std::future<KernelLookup> start(const Call& call) {
    return std::async(std::launch::async, [this, call] { return look_up(call); });
  }
  static bool concerns(const lks_kernel_desc& desc, std::int64_t extent) { return desc.inputs[0].dims[0] == extent; }
};

INSTANTIATE_TEST_SUITE_P(Queues, KernelThreads, testing::Bool(),
                         [](const auto& test) { return test.param ? "Inline" : "Asynchronous"; });

TEST_P(KernelThreads, ASlowPrepareDelaysNoOtherCall) {
  script.deps[0].dims = 1;
  find(with_extent(2));
  Gate begun, others_done;
  script.during = [&](const lks_kernel_desc& desc) {
    if (!concerns(desc, 3)) return;
    begun.open();
    others_done.pass();
  };
  std::future<KernelLookup> slow = start(with_extent(3));
  begun.pass();
  EXPECT_FALSE(is_new(with_extent(2))) << "a hit";
  EXPECT_TRUE(is_new(with_extent(4))) << "a miss of the same kind";
  EXPECT_TRUE(is_new(with_attribute(9))) << "a miss of another kind";
  EXPECT_EQ(cache->size(), 3u);
  others_done.open();
  EXPECT_NE(slow.get().get(), nullptr);
  EXPECT_FALSE(is_new(with_extent(3)));
}

TEST_P(KernelThreads, TwoThreadsPrepareOneKernelOnce) {
  std::atomic<int> running{0}, most{0};
  script.during = [&](const lks_kernel_desc&) {
    most = std::max(most.load(), ++running);
    std::this_thread::sleep_for(20ms);
    --running;
  };
  std::vector<std::future<KernelLookup>> all;
  for (int i = 0; i < 4; ++i) all.push_back(start(usual));
  const Kernel* kernel = all[0].get().get();
  for (int i = 1; i < 4; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].get().get(), kernel);
  EXPECT_EQ(script.prepared, 1);
  EXPECT_EQ(most, 1);
}

TEST_P(KernelThreads, AKernelIsPreparedForTheThreadsOfAllCallers) {
  script.deps[0].dims = 1;
  unsigned given = 0;
  script.during = [&](const lks_kernel_desc&) { given = thread_count(); };
  set_thread_count(3);
  for (unsigned own : {1u, 5u, 0u}) {
    const ThreadCountScope scope(own);
    find(with_extent(20 + own));
    EXPECT_EQ(given, own == 5 ? 5u : 3u) << own;
    EXPECT_EQ(thread_count(), own ? own : 3u) << "after the call all is as before";
  }
  set_thread_count(0);
}

TEST_P(KernelThreads, AfterAFailureTheNextOneAsks) {
  Gate begun;
  std::atomic<int> asked{0};
  script.during = [&](const lks_kernel_desc&) {
    const bool first = asked++ == 0;
    begun.open();
    if (first) std::this_thread::sleep_for(20ms);
    std::lock_guard lock(script_mutex);
    script.failure = first ? LKS_OUT_OF_MEMORY : LKS_OK;
  };
  std::future<KernelLookup> one = start(usual);
  begun.pass();
  std::future<KernelLookup> two = start(usual);
  EXPECT_THROW(one.get(), OutOfMemoryError);
  EXPECT_NE(two.get().get(), nullptr);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(cache->size(), 1u);
}

TEST_P(KernelThreads, APassingRefusalIsNotPassedOn) {
  script.refusal = LKS_REASON_RESOURCE;
  std::vector<std::future<KernelLookup>> all;
  for (int i = 0; i < 4; ++i) all.push_back(start(usual));
  for (auto& one : all) EXPECT_EQ(one.get().get(), nullptr);
  EXPECT_EQ(cache->counters.refusals, 4u);
  EXPECT_EQ(cache->size(), 0u);
}

TEST_P(KernelThreads, OfTwoKernelsForTheSameCallsTheFirstIsKept) {
  Gate both;
  std::atomic<int> asked{0};
  script.during = [&](const lks_kernel_desc&) {
    if (++asked == 2) both.open();
    both.pass();
  };
  std::future<KernelLookup> one = start(with_extent(2)), two = start(with_extent(3));
  EXPECT_EQ(one.get().get(), two.get().get()) << "it turned out to depend on no extent";
  EXPECT_EQ(script.prepared, 2);
  EXPECT_EQ(script.released, 1);
  EXPECT_EQ(cache->size(), 1u);
}

TEST_P(KernelThreads, KernelsInTablesOfThreadsAreReleasedWithTheDevice) {
  Gate found, closed;
  std::thread other([&] {
    find(usual);
    found.open();
    closed.pass();
  });
  found.pass();
  cache.reset();
  EXPECT_EQ(script.released, 1) << "the other thread's table still has it";
  closed.open();
  other.join();
  EXPECT_EQ(script.released, 1);
}

TEST_P(KernelThreads, ManyThreadsInASmallCache) {
  limit(3, 2);
  script.deps[1].dims = 2;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      unsigned random = t;
      for (int i = 0; i < 2000; ++i) {
        random = random * 1664525u + 1013904223u;
        Call call = with_attribute(random >> 16 & 1);
        call.dims[1][1] = 2 + (random >> 20 & 3);
        call.mode = random >> 24 & 1 ? MathMode::fast : MathMode::strict;
        EXPECT_EQ(look_up(call).get()->variant(), "plain");
        if (random >> 25 == 0) cache->clear();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache->size(), 3u);
}

}  // namespace
}  // namespace lockstep
