// Tests of queue recovery with a scripted driver, also if recovery fails. Other behaviour of queues is tested with an
// asynchronous device in async_test.cpp and failure_test.cpp.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "lockstep/lockstep.h"
#include "runtime/queue_script.h"

namespace lockstep {
namespace {

using queue_script::Recovery, queue_script::script, queue_script::never;

TEST_F(Recovery, LetsLaterCommandsRun) {
  const std::uint64_t sound = command();
  script.fails_at = command();
  const std::uint64_t failed = script.fails_at, skipped = command();
  EXPECT_NO_THROW(queue->wait(sound));
  EXPECT_THROW(queue->wait(failed), DeviceError);
  EXPECT_EQ(script.recoveries, 1);
  EXPECT_THROW(queue->check(skipped), DeviceError);
  EXPECT_NO_THROW(queue->wait(sound));
  const std::uint64_t later = command();
  EXPECT_NO_THROW(queue->wait(later));
  EXPECT_NO_THROW(queue->synchronize()) << "the failure was told";
  EXPECT_EQ(queue->pending(), 0u);
}

TEST_F(Recovery, WhereItFailsNoLaterCommandSucceeds) {
  script.recovery = LKS_DEVICE_LOST;
  script.fails_at = command();
  EXPECT_THROW(queue->wait(script.fails_at), DeviceError);
  script.fails_at = never;  // the driver no longer reports it, but the queue does not query it again
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t later = command();
    EXPECT_THROW(queue->check(later), DeviceError);
    EXPECT_THROW(queue->wait(later), DeviceError);
    EXPECT_THROW(queue->wait_unless_skipped(later), DeviceError);
    EXPECT_THROW(queue->synchronize(), DeviceError) << "each time";
  }
}

TEST_F(Recovery, WhatWasSkippedIsEnqueuedAgainIfTheQueueWorks) {
  int failed = 0, skipped = 0;
  const auto counted = [&](int& times) {
    return queue->fill(block, 0, 4, 0, 4, {.op = "fill", .again = [&times] { ++times; }});
  };
  script.fails_at = counted(failed);
  counted(skipped);
  queue->wait_idle();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(skipped, 1);
  script.recovery = LKS_DEVICE_LOST;
  script.fails_at = counted(failed);
  counted(skipped);
  queue->wait_idle();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(skipped, 1) << "nothing runs on a queue that is lost";
}

TEST_F(Recovery, WhatIsEnqueuedAgainIsWaitedForToo) {
  std::uint64_t again = 0;
  script.fails_at = command();
  queue->fill(block, 0, 4, 0, 4, {.op = "fill", .again = [&] { again = command(); }});
  queue->wait_idle();
  EXPECT_EQ(again, 3u);
  EXPECT_EQ(script.waited_for, 3u);
  EXPECT_EQ(queue->pending(), 0u);
}

TEST_F(Recovery, AQueueThatIsLostIsNotFree) {
  script.recovery = LKS_DEVICE_LOST;
  script.fails_at = command();
  queue->wait_idle();
  script.fails_at = never;
  EXPECT_FALSE(queue->is_free());
}

// The allocator asks, and has its lock then.
TEST_F(Recovery, IsNotWaitedForByAThreadThatAsksHowFarTheQueueIs) {
  bool has_asked = false;
  script.fails_at = command();
  script.during_recovery = [&] {
    std::thread([&] { queue->refresh_done(); }).join();
    has_asked = true;
  };
  queue->wait_idle();
  EXPECT_TRUE(has_asked);
}

TEST_F(Recovery, IsLeftToThoseWhoUseTheQueue) {
  command();
  EXPECT_TRUE(queue->is_free());
  bool is_undone = false, is_free_meanwhile = true;
  script.fails_at = command();
  queue->undo_if_failed([&] {
    is_undone = true;
    is_free_meanwhile = queue->is_free();
  });
  EXPECT_FALSE(queue->is_free());
  EXPECT_EQ(script.recoveries, 0);
  EXPECT_FALSE(is_undone);
  queue->wait_idle();
  EXPECT_TRUE(is_undone);
  EXPECT_FALSE(is_free_meanwhile);
  EXPECT_TRUE(queue->is_free());
}

// Another thread may have found the failure, and be undoing its changes still.
TEST_F(Recovery, AFailureIsMetAfterItsChangesAreUndone) {
  std::uint64_t failed = 0;
  lks_launch launches[1] = {};
  const auto launch = [&] {
    const CallSite here = CallSite::current();
    queue->launch(
        launches,
        [&](std::size_t) {
          return DriverCall{"launch", &here};
        },
        [] { return CommandInfo{.op = "launch"}; }, [&] { queue->verify_written(failed); }, [](std::uint64_t) {});
  };
  const std::function<void()> ways[] = {[&] { queue->check(failed); }, [&] { queue->wait_unless_skipped(failed); },
                                        [&] { queue->synchronize(); }, launch};
  for (const std::function<void()>& wait : ways) {
    const bool is_undone = undone_after([&](std::uint64_t command) {
      failed = command;
      EXPECT_THROW(wait(), DeviceError) << &wait - ways;
    });
    EXPECT_TRUE(is_undone) << &wait - ways;
  }
}

TEST_F(Recovery, AWaitForASettledQueueWaitsForWhatUndoes) {
  EXPECT_TRUE(undone_after([&](std::uint64_t failed) { EXPECT_NO_THROW(queue->settle(failed)); }));
}

TEST_F(Recovery, AFailureThatTwoThreadsFindIsOne) {
  const std::uint64_t failed = script.fails_at = command();
  script.after_wait = [&] { std::thread([&] { queue->wait_idle(); }).join(); };
  EXPECT_THROW(queue->wait(failed), DeviceError);
  EXPECT_EQ(script.recoveries, 1);
  EXPECT_NO_THROW(queue->synchronize()) << "it was told";
}

TEST_F(Recovery, TheNewestCommandFailsAlone) {
  const std::uint64_t sound = command(), failed = script.fails_at = command();
  EXPECT_THROW(queue->wait(failed), DeviceError);
  EXPECT_NO_THROW(queue->check(sound));
  EXPECT_NO_THROW(queue->wait(sound));
}

TEST_F(Recovery, WhatIsUndoneDependsOnNoCommandInFlight) {
  std::uint64_t depends_on = never;
  script.fails_at = command();
  queue->undo_if_failed([&] {
    command();
    depends_on = queue->undo_if_failed([] {});
  });
  queue->wait_idle();
  EXPECT_EQ(depends_on, 0u);
}

TEST_F(Recovery, AValueThatNoCommandHasIsNotWaitedFor) {
  const std::uint64_t newest = command();
  queue->wait_until_done(newest + 100);
  EXPECT_EQ(script.waited_for, newest);
}

TEST_F(Recovery, AFailureThatNobodyMetKeepsItsTextHoweverManyFollow) {
  const std::uint64_t first = command();
  script.fails_at = first;
  queue->wait_idle();
  for (int i = 0; i < 300; ++i) {
    script.fails_at = command();
    queue->wait_idle();
  }
  EXPECT_EQ(script.recoveries, 301);
  try {
    queue->check(first);
    FAIL() << "the command failed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("it broke"), std::string::npos) << e.what();
  }
}

TEST_F(Recovery, AFailureThatWasToldLosesItsTextToManyThatFollow) {
  const std::uint64_t first = command();
  script.fails_at = first;
  EXPECT_THROW(queue->wait(first), DeviceError);
  for (int i = 0; i < 300; ++i) {
    script.fails_at = command();
    queue->wait_idle();
  }
  try {
    queue->check(first);
    FAIL() << "the command failed";
  } catch (const DeviceError& e) {
    EXPECT_EQ(e.id(), ErrorId::driver_failed) << e.what();
    EXPECT_NE(std::string(e.what()).find("its text is gone"), std::string::npos) << e.what();
  }
}

TEST_F(Recovery, AFailureThatNobodyMetIsLoggedOnceAtTheEnd) {
  const auto logged = [&] {
    testing::internal::CaptureStderr();
    queue->log_unreported();
    return testing::internal::GetCapturedStderr();
  };
  script.fails_at = command();
  EXPECT_THROW(queue->wait(script.fails_at), DeviceError);
  EXPECT_EQ(logged(), "") << "it was thrown";
  script.fails_at = command();
  queue->wait_idle();
  const std::string text = logged();
  EXPECT_NE(text.find("this failure was never reported: "), std::string::npos) << text;
  EXPECT_NE(text.find("it broke"), std::string::npos) << text;
  EXPECT_EQ(logged(), "");
}

}  // namespace
}  // namespace lockstep
