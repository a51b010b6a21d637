// A queue of a device, as the host sees it: it remembers which command came from which line of the user's program, and
// turns asynchronous failures into exceptions there.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <source_location>
#include <span>
#include <vector>

#include "runtime/driver_status.h"
#include "runtime/memory/block.h"

namespace lockstep {

class DeviceState;

/// What the host keeps of a command until it is done.
struct CommandInfo {
  const char* op = "";  // static string or interned name
  std::source_location where;
  const ScopeName* scope = nullptr;
  std::shared_ptr<void> keep;  // lives until the command is done: kernels, host memory
  std::function<void()> undo;  // host state to restore if the command turns out to have failed
};

class CommandQueue {
 public:
  CommandQueue(DeviceState& device, std::uint32_t kind);
  ~CommandQueue();
  CommandQueue(const CommandQueue&) = delete;
  CommandQueue& operator=(const CommandQueue&) = delete;

  /// Enqueues the launches as one unit: all or none. `info` is called only if the queue is asynchronous. Returns the
  /// timeline value; throws if nothing was enqueued.
  template <class MakeInfo>
  std::uint64_t launch(std::span<lks_launch> launches, const DriverCall& call, MakeInfo&& info) {
    if (inline_) {
      launch_inline(launches, call);
      return 0;
    }
    return launch_async(launches, call, info());
  }

  std::uint64_t copy(Block& dst, std::uint64_t dst_offset, Block& src, std::uint64_t src_offset, std::uint64_t bytes,
                     CommandInfo info);
  /// `src` must stay valid until the command is done: hand its owner over in info.keep.
  std::uint64_t write(Block& dst, std::uint64_t offset, const void* src, std::uint64_t bytes, CommandInfo info);
  std::uint64_t read(void* dst, Block& src, std::uint64_t offset, std::uint64_t bytes, CommandInfo info);
  std::uint64_t fill(Block& dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                     std::uint32_t pattern_bytes, CommandInfo info);

  /// Blocks until `value` is reached; throws the failure that the command, or one before it, ended in.
  void wait(std::uint64_t value);
  /// Throws if the command of `value` is already known to have failed. Never blocks.
  void check(std::uint64_t value) const {
    if (any_failure_.load(std::memory_order_acquire)) [[unlikely]]
      throw_if_failed(value);
  }
  /// Waits for everything; throws the first failure.
  void synchronize();
  /// Waits for everything without throwing.
  void wait_idle() noexcept;

  bool is_inline() const { return inline_; }
  /// Commands whose end the host has not noticed yet.
  std::size_t pending() const;

 private:
  struct Pending {
    std::uint64_t value;
    CommandInfo info;
    bool succeeded = false;  // its undo is not wanted; dropped outside the lock, for it may hold the last of a tensor
  };
  struct FailedRange {
    std::uint64_t first, last;
    Error::Parts parts;
  };

  void launch_inline(std::span<lks_launch> launches, const DriverCall& call);
  std::uint64_t launch_async(std::span<lks_launch> launches, const DriverCall& call, CommandInfo info);
  template <class Enqueue>
  std::uint64_t enqueue(CommandInfo info, Enqueue&& call);
  void make_room();
  using Done = std::deque<Pending>;
  // Both are called with the lock held and return commands whose owners are to be let go after it is released: they may
  // give memory back, which takes the allocator's lock.
  [[nodiscard]] Done retire_done();
  [[nodiscard]] Done note_failure(lks_status status, const lks_diag& diag);
  Error::Parts parts_of(lks_status status, const lks_diag& diag, const CommandInfo& info) const;
  static void finish(Done& done);
  void throw_if_failed(std::uint64_t value) const;

  DeviceState& device_;
  const lks_driver_api& api_;
  const bool inline_;
  lks_queue* queue_ = nullptr;
  lks_timeline* timeline_ = nullptr;

  mutable std::mutex mutex_;
  std::deque<Pending> pending_;  // in order of their values
  std::uint64_t newest_ = 0;     // value of the newest command
  std::vector<FailedRange> failures_;
  std::atomic<bool> any_failure_{false};
};

}  // namespace lockstep
