// Tests of queue recovery with a scripted driver, also if recovery fails. Other behaviour of queues is tested with an
// asynchronous device in async_test.cpp and failure_test.cpp.
#include "runtime/command_queue.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "lockstep/lockstep.h"
#include "runtime/scripted_driver.h"

namespace lockstep {
namespace {

constexpr std::uint64_t never = ~std::uint64_t{0};

struct Script {
  std::uint64_t newest = 0, fails_at = never;
  lks_status recovery = LKS_OK;
  int recoveries = 0;
};
Script script;

lks_status broken(lks_diag* diag) {
  diag->value = script.fails_at;
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
    t.timeline_query = [](lks_timeline*, std::uint64_t* reached, lks_diag* diag) -> lks_status {
      const bool failed = script.fails_at <= script.newest;
      *reached = failed ? script.fails_at - 1 : script.newest;
      return failed ? broken(diag) : LKS_OK;
    };
    t.timeline_wait = [](lks_timeline*, std::uint64_t value, std::uint64_t, lks_diag* diag) -> lks_status {
      return value >= script.fails_at ? broken(diag) : LKS_OK;
    };
    t.queue_recover = [](lks_queue*, std::uint64_t* last, lks_diag*) -> lks_status {
      ++script.recoveries;
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

}  // namespace
}  // namespace lockstep
