// Tests of where failures of a queue are said to come from: lines of another language, and the calls of a unit.
#include <gtest/gtest.h>

#include <atomic>
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
#include "runtime/queue_script.h"

namespace lockstep {
namespace {

using queue_script::Recovery, queue_script::script, queue_script::table;

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
  EXPECT_EQ(lines->asked, 0) << "no call has thrown it";
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

// wait_idle() is called in the middle of an allocation.
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
  std::string line(int of_launch) const { return "queue_places_test.cpp:" + std::to_string(first_line + of_launch); }

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

// A thread's failures share the struct that the driver writes its answer into.
TEST_P(FailureOfAUnit, SaysNothingOfAnEarlierFailure) {
  if (!GetParam()) GTEST_SKIP() << "an asynchronous driver must say which command failed";
  EXPECT_NE(std::string(failure(2).what()).find("it broke"), std::string::npos);
  script.says_why = false;
  const Error e = failure(0);
  EXPECT_EQ(e.op(), "first");
  EXPECT_EQ(std::string(e.what()).find("it broke"), std::string::npos) << e.what();
}

INSTANTIATE_TEST_SUITE_P(Queues, FailureOfAUnit, testing::Bool(),
                         [](const auto& test) { return test.param ? "inline" : "asynchronous"; });

}  // namespace
}  // namespace lockstep
