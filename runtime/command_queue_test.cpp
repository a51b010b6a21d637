// Tests of queue recovery with a scripted driver, also if recovery fails, and of what may happen while the text of a
// failure is made. Other behaviour of queues is tested with an
// asynchronous device in async_test.cpp and failure_test.cpp.
#include "runtime/command_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <source_location>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "lockstep/lockstep.h"
#include "runtime/scripted_driver.h"

namespace lockstep {
namespace {

constexpr std::uint64_t never = ~std::uint64_t{0};

struct Script {
  std::uint64_t newest = 0, fails_at = never;
  std::uint32_t launch = 0;       // what the driver says about it
  std::uint64_t done_to = never;  // later commands are pending
  lks_status recovery = LKS_OK;
  int recoveries = 0;
  bool fails_in_call = false;
  std::uint64_t waited_for = 0;           // the last time
  std::function<void()> during_recovery;  // runs before it returns
};
Script script;

lks_status broken(lks_diag* diag) {
  diag->value = script.fails_at;
  diag->launch = script.launch;
  std::snprintf(diag->what, sizeof diag->what, "it broke");
  return LKS_INTERNAL;
}

const lks_driver_api& table() {
  static const lks_driver_api api = [] {
    lks_driver_api t = scripted_driver();
    t.queue_fill = [](lks_queue*, lks_buffer*, std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t,
                      std::uint64_t* value, lks_diag*) -> lks_status {
      *value = ++script.newest;
      return LKS_OK;
    };
    t.queue_write = [](lks_queue*, lks_buffer*, std::uint64_t, const void*, std::uint64_t, std::uint64_t* value,
                       lks_diag*) -> lks_status {
      *value = ++script.newest;
      return LKS_OK;
    };
    t.queue_launch = [](lks_queue*, const lks_launch*, std::uint32_t, std::uint64_t* value,
                        lks_diag* diag) -> lks_status {
      *value = ++script.newest;
      return script.fails_in_call ? broken(diag) : LKS_OK;
    };
    t.timeline_query = [](lks_timeline*, std::uint64_t* reached, lks_diag* diag) -> lks_status {
      const bool failed = script.fails_at <= script.newest;
      *reached = failed ? script.fails_at - 1 : std::min(script.newest, script.done_to);
      return failed ? broken(diag) : LKS_OK;
    };
    t.timeline_wait = [](lks_timeline*, std::uint64_t value, std::uint64_t, lks_diag* diag) -> lks_status {
      script.waited_for = value;
      return value >= script.fails_at ? broken(diag) : LKS_OK;
    };
    t.queue_recover = [](lks_queue*, std::uint64_t* last, lks_diag*) -> lks_status {
      ++script.recoveries;
      if (script.during_recovery) script.during_recovery();
      if (script.recovery != LKS_OK) return script.recovery;
      *last = script.newest;
      script.fails_at = never;
      return LKS_OK;
    };
    return t;
  }();
  return api;
}

class Recovery : public testing::Test {
 protected:
  void SetUp() override {
    script = {};
    device = std::make_unique<ScriptedDevice>(table(), 0);
    queue = std::make_unique<CommandQueue>(device->state(), LKS_QUEUE_COMPUTE);
  }
  std::uint64_t command() { return queue->fill(block, 0, 4, 0, 4, {.op = "fill"}); }

  std::unique_ptr<ScriptedDevice> device;
  std::unique_ptr<CommandQueue> queue;
  Block block;
};

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
TEST_F(Recovery, AFailureIsThrownAfterItsChangesAreUndone) {
  std::atomic<bool> is_undoing{false}, is_undone{false};
  script.fails_at = command();
  const std::uint64_t failed = script.fails_at;
  queue->undo_if_failed([&] {
    is_undoing = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    is_undone = true;
  });
  std::thread finder([&] { queue->wait_idle(); });
  while (!is_undoing) std::this_thread::yield();
  EXPECT_THROW(queue->check(failed), DeviceError);
  EXPECT_TRUE(is_undone);
  finder.join();
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

// ------------------------------------------------------------------------------------ places of another language

// Line n of a script. `when_asked` runs before a line is told, as the code of another language may.
class ScriptLines : public CallSiteResolver {
 public:
  explicit ScriptLines(std::function<void()> when_asked) : when_asked_(std::move(when_asked)) {}
  SourcePlace resolve(std::uint64_t id) const override {
    ++asked;
    when_asked_();
    return {"train.py", static_cast<std::uint32_t>(id), "step"};
  }
  mutable std::atomic<int> asked{0};

 private:
  const std::function<void()> when_asked_;
};

class PlacesOfFailures : public Recovery {
 protected:
  // What `act` throws.
  static Error error_of(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& e) {
      return e;
    }
    throw std::logic_error("nothing was thrown");
  }
  std::uint64_t failing_command(CallSite where) {
    return script.fails_at = queue->fill(block, 0, 4, 0, 4, {.op = "fill", .where = where});
  }
  std::uint64_t launch(CallSite where, const std::function<void()>& verify) {
    std::uint64_t enqueued = 0;
    lks_launch launches[1] = {};
    queue->launch(
        launches,
        [&](std::size_t) {
          return DriverCall{"launch", &where};
        },
        [&] { return CommandInfo{.op = "launch", .where = where}; }, verify,
        [&](std::uint64_t value) { enqueued = value; });
    return enqueued;
  }
};

// The resolver uses the queue whose failure is told.
TEST_F(PlacesOfFailures, AreAskedForWithoutTheQueuesLock) {
  std::uint64_t from_resolver = 0;
  const auto lines = std::make_shared<ScriptLines>([&] { from_resolver = command(); });
  const ExternalCallSites sites(lines);
  const std::uint64_t failed = failing_command(sites.at(3)), skipped = command();
  EXPECT_EQ(error_of([&] { queue->wait(failed); }).where(), "called at train.py:3");
  EXPECT_GT(from_resolver, skipped);
  EXPECT_NO_THROW(queue->wait(from_resolver)) << "it was enqueued after the recovery";
  EXPECT_EQ(error_of([&] { queue->check(skipped); }).where(), "called at train.py:3");
  EXPECT_EQ(lines->asked, 1) << "the text is kept";
}

TEST_F(PlacesOfFailures, AreAskedForWithoutItAlsoBySynchronizing) {
  const auto lines = std::make_shared<ScriptLines>([&] { command(); });
  const ExternalCallSites sites(lines);
  failing_command(sites.at(4));
  EXPECT_EQ(error_of([&] { queue->synchronize(); }).where(), "called at train.py:4");
  failing_command(sites.at(5));
  const std::uint64_t failed = script.fails_at;
  EXPECT_EQ(error_of([&] { queue->wait_unless_skipped(failed); }).where(), "called at train.py:5");
  EXPECT_NO_THROW(queue->synchronize());
}

TEST_F(PlacesOfFailures, AreAskedForWithoutItWhereALaunchMeetsThem) {
  const auto lines = std::make_shared<ScriptLines>([&] { command(); });
  const ExternalCallSites sites(lines);
  const std::uint64_t failed = failing_command(sites.at(6));
  queue->wait_idle();
  EXPECT_EQ(lines->asked, 0) << "nobody has met it";
  const std::uint64_t before = script.newest;
  const Error e = error_of([&] { launch(sites.at(7), [&] { queue->verify_written(failed); }); });
  EXPECT_EQ(e.where(), "called at train.py:6") << "the line of the command that failed";
  EXPECT_EQ(e.op(), "fill");
  EXPECT_EQ(script.newest, before + 1) << "only the resolver's own command was enqueued";
  EXPECT_NO_THROW(queue->synchronize()) << "it was told";
}

TEST_F(PlacesOfFailures, AreAskedForWithoutItWhereTheDriverRefuses) {
  const auto lines = std::make_shared<ScriptLines>([&] { command(); });
  const ExternalCallSites sites(lines);
  script.fails_in_call = true;
  const Error e = error_of([&] { launch(sites.at(8), [] {}); });
  EXPECT_EQ(e.where(), "called at train.py:8");
  EXPECT_EQ(e.op(), "launch");
}

// As an interpreter does it: a thread holds the lock of its language while it waits for the device, and the resolver
// needs that lock.
TEST_F(PlacesOfFailures, MayNeedALockOfAThreadThatUsesTheQueue) {
  std::mutex interpreter;
  std::promise<void> held, asked;
  const auto lines = std::make_shared<ScriptLines>([&] {
    asked.set_value();
    const std::lock_guard lock(interpreter);
  });
  const ExternalCallSites sites(lines);
  const std::uint64_t sound = command(), failed = failing_command(sites.at(9));
  std::thread other([&] {
    const std::lock_guard lock(interpreter);
    held.set_value();
    asked.get_future().wait();
    EXPECT_NO_THROW(queue->wait(sound));
    EXPECT_NO_THROW(queue->wait(command()));
  });
  held.get_future().wait();
  EXPECT_EQ(error_of([&] { queue->wait(failed); }).where(), "called at train.py:9");
  other.join();
}

// wait_idle() may be called with the allocator's lock.
TEST_F(PlacesOfFailures, AreNotAskedForWhileTheQueueBecomesIdle) {
  const auto lines = std::make_shared<ScriptLines>([] {});
  const ExternalCallSites sites(lines);
  std::string place;
  const std::uint64_t failed = failing_command(sites.at(10));
  queue->fill(block, 0, 4, 0, 4, {.op = "fill", .again = [&] { place = sites.at(11).resolve().file; }});
  queue->wait_idle();
  EXPECT_EQ(place, "<unknown>");
  EXPECT_EQ(lines->asked, 0);
  EXPECT_EQ(error_of([&] { queue->wait(failed); }).where(), "called at train.py:10")
      << "the failure has kept its place";
}

// ------------------------------------------------------------------------------------------------------ uploads

// A write of memory that is not kept.
class CopiedWrite : public testing::Test {
 protected:
  std::uint64_t write(std::uint64_t capabilities, const std::function<void(CommandQueue&)>& before) {
    script = {};
    const auto device = std::make_unique<ScriptedDevice>(table(), capabilities);
    CommandQueue queue(device->state(), LKS_QUEUE_COMPUTE);
    before(queue);
    const std::uint64_t enqueued = script.newest;
    const std::uint64_t value = queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"});
    EXPECT_EQ(script.newest, enqueued + (value ? 1 : 0)) << "a write that is refused enqueues nothing";
    return value;
  }
  void fill(CommandQueue& queue) { queue.fill(block, 0, 4, 0, 4, {.op = "fill"}); }
  Block block;
  const std::uint32_t bytes = 7;
};

TEST_F(CopiedWrite, IsForDriversThatCopy) {
  const auto nothing = [](CommandQueue&) {};
  EXPECT_EQ(write(0, nothing), 0u);
  EXPECT_EQ(write(LKS_CAP_COPIES_WRITES | LKS_CAP_INLINE_QUEUE, nothing), 0u);
  EXPECT_NE(write(LKS_CAP_COPIES_WRITES, nothing), 0u);
}

// If the earlier command failed, the write would be skipped, and nobody would have its bytes.
TEST_F(CopiedWrite, DoesNotFollowACommandThatMayFail) {
  const auto pending_fill = [&](CommandQueue& queue) {
    script.done_to = 0;
    fill(queue);
  };
  EXPECT_EQ(write(LKS_CAP_COPIES_WRITES, pending_fill), 0u);
  EXPECT_NE(write(LKS_CAP_COPIES_WRITES, [&](CommandQueue& queue) { fill(queue); }), 0u) << "the fill is done";
  const auto failed_upload = [&](CommandQueue& queue) {
    script.done_to = 0;
    script.fails_at = queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"});
  };
  EXPECT_EQ(write(LKS_CAP_COPIES_WRITES, failed_upload), 0u) << "an upload that has failed";
}

// Nobody has the bytes of the second one any more. So its memory has no contents, and every use says why.
TEST_F(CopiedWrite, BehindAnUploadThatFailsReportsThatFailure) {
  script = {};
  ScriptedDevice device(table(), LKS_CAP_COPIES_WRITES);
  CommandQueue queue(device.state(), LKS_QUEUE_COMPUTE);
  const auto upload = [&] { return queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"}); };
  script.done_to = 0;
  const std::uint64_t failing = upload(), behind = upload();
  ASSERT_NE(behind, 0u);
  script.fails_at = failing;
  EXPECT_THROW(queue.wait(behind), DeviceError);
  EXPECT_THROW(queue.check(behind), DeviceError) << "each time";
  EXPECT_THROW(queue.check(failing), DeviceError);
  EXPECT_NO_THROW(queue.synchronize()) << "it was told";
  script.done_to = never;
  const std::uint64_t later = upload();
  ASSERT_NE(later, 0u);
  EXPECT_NO_THROW(queue.wait(later));
}

TEST_F(CopiedWrite, FollowsOtherUploads) {
  const auto pending_uploads = [&](CommandQueue& queue) {
    script.done_to = 0;
    for (int i = 0; i < 3; ++i) EXPECT_NE(queue.write_copied(block, 0, &bytes, sizeof bytes, {.op = "write"}), 0u);
  };
  EXPECT_NE(write(LKS_CAP_COPIES_WRITES, pending_uploads), 0u);
}

// Three calls of three lines that are submitted together. The parameter: whether the queue is inline.
class FailureOfAUnit : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    script = {};
    device = std::make_unique<ScriptedDevice>(table(), GetParam() ? LKS_CAP_INLINE_QUEUE : 0);
    queue = std::make_unique<CommandQueue>(device->state(), LKS_QUEUE_COMPUTE);
  }

  // The error if the driver reports a failure with this diag.launch.
  Error failure(std::uint32_t launch) {
    static constexpr const char* ops[] = {"first", "second", "third"};
    const std::source_location one = std::source_location::current();
    const std::source_location two = std::source_location::current();
    const std::source_location three = std::source_location::current();
    const CallSite lines[] = {one, two, three};
    first_line = static_cast<int>(one.line());
    lks_launch launches[3] = {};
    script.launch = launch;
    script.fails_in_call = GetParam();
    const auto call_of = [&](std::size_t i) { return DriverCall{ops[i], &lines[i]}; };
    const auto info = [&] {
      return CommandInfo{
          .op = ops[0], .where = lines[0], .launches = {{ops[0], lines[0]}, {ops[1], lines[1]}, {ops[2], lines[2]}}};
    };
    try {
      queue->launch(
          launches, call_of, info, [] {}, [&](std::uint64_t value) { script.fails_at = value; });
      queue->wait(script.fails_at);
    } catch (const Error& e) {
      return e;
    }
    throw std::logic_error("the unit did not fail");
  }
  std::string line(int of_launch) const { return "command_queue_test.cpp:" + std::to_string(first_line + of_launch); }

  std::unique_ptr<ScriptedDevice> device;
  std::unique_ptr<CommandQueue> queue;
  int first_line = 0;
};

TEST_P(FailureOfAUnit, NamesTheCallThatFailed) {
  const char* const ops[] = {"first", "second", "third"};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Error e = failure(i + 1);
    EXPECT_EQ(e.op(), ops[i]);
    EXPECT_NE(e.where().find(line(static_cast<int>(i))), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find("submitted together"), std::string::npos) << e.what();
  }
}

TEST_P(FailureOfAUnit, SaysThatAnOlderDriverDoesNotSay) {
  for (const std::uint32_t unknown : {0u, 4u}) {
    const Error e = failure(unknown);
    EXPECT_EQ(e.op(), "first");
    EXPECT_NE(e.where().find(line(0)), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("the first of 3 that were submitted together"), std::string::npos) << e.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Queues, FailureOfAUnit, testing::Bool(),
                         [](const auto& test) { return test.param ? "inline" : "asynchronous"; });

}  // namespace
}  // namespace lockstep
