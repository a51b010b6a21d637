// A scripted driver for tests of queues: each test says what fails, when, and what the driver says about it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "runtime/command_queue.h"
#include "runtime/scripted_driver.h"

namespace lockstep::queue_script {

inline constexpr std::uint64_t never = ~std::uint64_t{0};

/// What the driver answers, and what it was asked.
struct Script {
  std::uint64_t newest = 0, fails_at = never;
  std::uint32_t launch = 0;       // what the driver says about it
  std::uint64_t done_to = never;  // later commands are pending
  lks_status recovery = LKS_OK;
  int recoveries = 0;
  bool fails_in_call = false;
  bool says_why = true;                   // a failure has a diag
  std::uint64_t waited_for = 0;           // the last time
  std::function<void()> during_recovery;  // runs before it returns
  std::function<void()> after_wait;       // runs once, before a wait returns
};
inline Script script;

inline lks_status broken(lks_diag* diag) {
  if (!script.says_why) return LKS_INTERNAL;
  diag->value = script.fails_at;
  diag->launch = script.launch;
  std::snprintf(diag->what, sizeof diag->what, "it broke");
  return LKS_INTERNAL;
}

inline const lks_driver_api& table() {
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
      const lks_status status = value >= script.fails_at ? broken(diag) : LKS_OK;
      if (const auto after = std::exchange(script.after_wait, nullptr)) after();
      return status;
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
  /// A command fails, and another thread undoes its changes, which takes 20 ms. Calls wait(the command) meanwhile, and
  /// returns whether the changes are undone when it returns.
  bool undone_after(const std::function<void(std::uint64_t)>& wait) {
    std::atomic<bool> is_undoing{false}, is_undone{false};
    const std::uint64_t failed = script.fails_at = command();
    queue->undo_if_failed([&] {
      is_undoing = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      is_undone = true;
    });
    std::thread finder([&] { queue->wait_idle(); });
    while (!is_undoing) std::this_thread::yield();
    wait(failed);
    const bool result = is_undone;
    finder.join();
    return result;
  }

  std::unique_ptr<ScriptedDevice> device;
  std::unique_ptr<CommandQueue> queue;
  Block block;
};

}  // namespace lockstep::queue_script
