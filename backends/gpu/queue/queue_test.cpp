// Tests queues on a device that is made of host code: it runs a batch when it is submitted, or when the test lets it.
#include "backends/gpu/queue/queue.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "backends/gpu/failure.h"
#include "backends/gpu/queue/queue_body.h"

namespace {

struct Allocation {
  struct Location {
    std::uint64_t address = 0;
  };

  std::byte* mapped = nullptr;
  std::uint64_t bytes = 0;

  Location at(std::uint64_t offset) const { return {offset}; }
};

const gpu::MemorySource<Allocation> host_memory{[](std::uint64_t bytes) {
                                                  return Allocation{new std::byte[bytes], bytes};
                                                },
                                                [](const Allocation& allocation) { delete[] allocation.mapped; }};

struct Command : gpu::CommandMemory<Allocation> {
  using CommandMemory::CommandMemory;

  void begin(std::uint64_t new_value) {
    value = new_value;
    work = nullptr;
  }

  std::uint64_t value = 0;
  std::function<bool()> work;  // false: the command fails
};

struct Batch : gpu::BatchContents<Allocation> {
  void begin() {}
  void make_room(const Command& command) { BatchContents::make_room(command); }
  void record(Command& command, std::uint64_t value) {
    take_over(command, value);
    works.emplace_back(value, command.work);
  }
  void reset() {
    clear();
    works.clear();
  }

  std::vector<std::pair<std::uint64_t, std::function<bool()>>> works;
};

}  // namespace

struct lks_device {
  gpu::ChunkPool<Allocation> pool{host_memory};
  gpu::DeviceHealth health;
  gpu::TimeLimit time_limit{"test.timeout"};
  gpu::State state;
  bool refuses_batches = false, has_timed_out = false;

  void submit(const Batch& batch, std::uint64_t serial) {
    const std::lock_guard lock(mutex_);
    if (refuses_batches) gpu::raise(LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no room for a batch");
    waiting_.push_back({serial, batch.works});
    if (!is_paused_) run();
  }
  bool wait(std::uint64_t serial, std::uint64_t timeout_ns) {
    std::unique_lock lock(mutex_);
    const auto is_done = [&] { return done_ >= serial; };
    if (timeout_ns != gpu::forever) return changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), is_done);
    changed_.wait(lock, is_done);
    return true;
  }
  void pause() {
    const std::lock_guard lock(mutex_);
    is_paused_ = true;
  }
  void resume() {
    const std::lock_guard lock(mutex_);
    is_paused_ = false;
    run();
  }
  std::size_t submitted() {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(done_) + waiting_.size();
  }

 private:
  struct Submitted {
    std::uint64_t serial;
    std::vector<std::pair<std::uint64_t, std::function<bool()>>> works;
  };

  void run() {
    for (const Submitted& batch : waiting_) {
      for (const auto& [value, work] : batch.works) {
        if (!state.failed && !work()) state = {1, 0, value, 7, 2, 5};
      }
      done_ = batch.serial;
    }
    waiting_.clear();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_paused_ = false;
  std::uint64_t done_ = 0;
  std::vector<Submitted> waiting_;
};

namespace {

struct Native {
  using Command = ::Command;
  using Batch = ::Batch;

  explicit Native(lks_device& d) : device(d), source(d.pool), own(source, source) {}

  lks_device& device;
  gpu::ChunkSource<Allocation> source;
  Command own;

  Command& command() { return own; }
  std::unique_ptr<Batch> new_batch() { return std::make_unique<Batch>(); }
  void check_usable() { device.health.check(); }
  void check_recording() {}
  void submit(Batch& batch, std::uint64_t serial) { device.submit(batch, serial); }
  bool wait(std::uint64_t serial, std::uint64_t timeout_ns) { return device.wait(serial, timeout_ns); }
  bool is_still_running(std::uint64_t serial) { return !device.wait(serial, 0); }
  gpu::State& state() { return device.state; }
  gpu::DeviceHealth& health() { return device.health; }
  const gpu::TimeLimit& time_limit() const { return device.time_limit; }
  void note_progress() {}
  std::chrono::steady_clock::time_point last_progress() { return {}; }
  void mark_timed_out(const lks_diag& cause) {
    device.has_timed_out = true;
    device.health.note_lost(cause);
  }
  static void flush(lks_queue& queue);
};

}  // namespace

struct lks_queue : gpu::Queue<Native> {
  explicit lks_queue(lks_device& device) : Queue(device) { timeline.queue = this; }
};

namespace {

void Native::flush(lks_queue& queue) { queue.flush(); }

class Queues : public testing::Test {
 protected:
  // Enqueues a command that appends `name` to `log_`.
  std::uint64_t log(lks_queue& queue, char name) {
    return queue.enqueue([&](Command& command) {
      command.work = [this, name] {
        log_ += name;
        return true;
      };
    });
  }
  std::uint64_t fail(lks_queue& queue) {
    return queue.enqueue([](Command& command) { command.work = [] { return false; }; });
  }
  lks_status wait(lks_queue& queue, std::uint64_t value) {
    queue.flush();
    diag_ = common::empty_diag();
    return queue.timeline.wait(value, gpu::forever, &diag_);
  }

  lks_device device_;
  std::string log_;
  lks_diag diag_ = common::empty_diag();
};

TEST_F(Queues, run_commands_in_order) {
  lks_queue queue(device_);
  for (const char name : {'a', 'b', 'c'}) log(queue, name);
  EXPECT_EQ(wait(queue, 3), LKS_OK);
  EXPECT_EQ(log_, "abc");
  EXPECT_EQ(device_.submitted(), 1u);
}

TEST_F(Queues, submit_64_commands_unasked_and_then_more_at_once) {
  lks_queue queue(device_);
  for (int i = 0; i < 63; ++i) log(queue, 'x');
  EXPECT_EQ(device_.submitted(), 0u);
  log(queue, 'x');
  EXPECT_EQ(device_.submitted(), 1u);
  for (int i = 0; i < 128; ++i) log(queue, 'x');
  EXPECT_EQ(device_.submitted(), 2u);
  EXPECT_EQ(wait(queue, 192), LKS_OK);
}

TEST_F(Queues, copy_to_the_host_what_has_been_staged) {
  lks_queue queue(device_);
  int result = 0;
  const std::uint64_t value = queue.enqueue([&](Command& command) {
    const gpu::Staged<Allocation> staged = command.staging.take(sizeof result);
    command.host_copies.push_back({command.value, &result, staged.data, sizeof result});
    command.work = [to = staged.data] {
      const int computed = 42;
      std::memcpy(to, &computed, sizeof computed);
      return true;
    };
  });
  EXPECT_EQ(wait(queue, value), LKS_OK);
  EXPECT_EQ(result, 42);
}

TEST_F(Queues, hold_commands_back_until_another_timeline_is_far_enough) {
  lks_queue queue(device_);
  lks_timeline other;
  log(queue, 'a');
  queue.wait_for(other, 5);
  const std::uint64_t value = log(queue, 'b');
  EXPECT_EQ(wait(queue, 1), LKS_OK);
  EXPECT_EQ(queue.timeline.wait(value, 2'000'000, &diag_), LKS_TIMEOUT);
  EXPECT_EQ(log_, "a");
  EXPECT_EQ(other.signal(5, nullptr, &diag_), LKS_OK);
  EXPECT_EQ(wait(queue, value), LKS_OK);
  EXPECT_EQ(log_, "ab");
}

TEST_F(Queues, submit_what_another_queue_waits_for) {
  lks_queue first(device_), second(device_);
  const std::uint64_t recorded = log(first, 'a');  // not submitted
  second.wait_for(first.timeline, recorded);
  EXPECT_EQ(wait(second, log(second, 'b')), LKS_OK);
  EXPECT_EQ(log_, "ab");
}

TEST_F(Queues, fail_where_the_timeline_fails_for_which_they_wait) {
  lks_queue queue(device_);
  lks_timeline other;
  queue.wait_for(other, 5);
  const std::uint64_t value = log(queue, 'a');
  queue.flush();
  lks_diag cause = common::empty_diag();
  common::fail(&cause, LKS_INTERNAL, DRIVER_WHERE, "a cause");
  EXPECT_EQ(other.signal(5, &cause, &diag_), LKS_OK);
  EXPECT_EQ(wait(queue, value), LKS_INTERNAL);
  EXPECT_STREQ(diag_.what, "a cause");
  EXPECT_EQ(log_, "");
}

TEST_F(Queues, skip_what_follows_a_failed_command_until_they_are_recovered) {
  lks_queue queue(device_);
  log(queue, 'a');
  const std::uint64_t failed = fail(queue);
  const std::uint64_t skipped = log(queue, 'b');
  EXPECT_EQ(wait(queue, failed - 1), LKS_OK);
  EXPECT_EQ(wait(queue, skipped), LKS_INVALID_ARGUMENT);
  EXPECT_EQ(diag_.reason, static_cast<int>(LKS_REASON_INDEX));
  EXPECT_EQ(diag_.value, failed);
  EXPECT_EQ(log(queue, 'c'), skipped + 1);
  EXPECT_EQ(queue.recover(), skipped + 1);
  EXPECT_EQ(wait(queue, log(queue, 'd')), LKS_OK);
  EXPECT_EQ(log_, "ad");
}

TEST_F(Queues, report_a_batch_that_cannot_be_submitted) {
  lks_queue queue(device_);
  device_.refuses_batches = true;
  const std::uint64_t value = log(queue, 'a');
  EXPECT_EQ(wait(queue, value), LKS_OUT_OF_MEMORY);
  EXPECT_EQ(diag_.value, value);
  device_.refuses_batches = false;
  queue.recover();
  EXPECT_EQ(wait(queue, log(queue, 'b')), LKS_OK);
  EXPECT_EQ(log_, "b");
}

TEST_F(Queues, lose_a_device_that_takes_longer_than_the_time_limit) {
  device_.time_limit.ns = 1'000'000;
  lks_queue queue(device_);
  device_.pause();
  EXPECT_EQ(wait(queue, log(queue, 'a')), LKS_DEVICE_LOST);
  EXPECT_TRUE(device_.has_timed_out);
  EXPECT_TRUE(device_.health.is_lost());
  EXPECT_THROW(log(queue, 'b'), gpu::Failure);
  EXPECT_FALSE(queue.close());  // the device may still be running
  device_.resume();
  EXPECT_TRUE(queue.close());
}

}  // namespace
