// A queue of a device, as the host sees it: it remembers which command came from which line of the user's program, and
// turns asynchronous failures into exceptions there.
//
// A command that fails on the device takes along all that was enqueued after it until the host notices: the device
// skips them, and what they changed on the host is undone. So the program is as it was when the failed command was
// enqueued. The failure is reported once, by whoever meets it first: a read or an op whose operand has no contents for
// it, or synchronize(). Only tensors without contents go on throwing.
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
#include "runtime/forked.h"
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

  /// Enqueues the launches as one unit: all or none. Returns the timeline value; throws if nothing was enqueued. `info`
  /// and `verify` are called only if the queue is asynchronous; `verify` calls `verify_written` for every block that
  /// the launches read.
  template <class MakeInfo, class Verify>
  std::uint64_t launch(std::span<lks_launch> launches, const DriverCall& call, MakeInfo&& info, Verify&& verify) {
    check_not_forked();
    if (inline_) {
      launch_inline(launches, call);
      return 0;
    }
    return launch_async(launches, info(), verify);
  }
  /// For `verify`: throws if the command of `value` has failed. No command can be found to have failed between this and
  /// the launch.
  void verify_written(std::uint64_t value) {
    if (value <= last_failed_.load(std::memory_order_relaxed)) [[unlikely]]
      throw_if_failed_locked(value);
  }

  std::uint64_t copy(Block& dst, std::uint64_t dst_offset, Block& src, std::uint64_t src_offset, std::uint64_t bytes,
                     CommandInfo info);
  /// `src` must stay valid until the command is done: hand its owner over in info.keep.
  std::uint64_t write(Block& dst, std::uint64_t offset, const void* src, std::uint64_t bytes, CommandInfo info);
  std::uint64_t read(void* dst, Block& src, std::uint64_t offset, std::uint64_t bytes, CommandInfo info);
  std::uint64_t fill(Block& dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                     std::uint32_t pattern_bytes, CommandInfo info);

  /// Blocks until `value` is reached; throws the failure that the command, or one before it, ended in. A wait that
  /// failed itself raises too, for `where`; nothing is in flight any more then.
  void wait(std::uint64_t value, const std::source_location* where = nullptr);
  /// The same, but false where the command was skipped because one before it has failed, which is not reported by this:
  /// a command whose operands are sound can be enqueued again.
  bool wait_unless_skipped(std::uint64_t value, const std::source_location* where = nullptr);
  /// Throws if the command of `value` is already known to have failed. Never blocks.
  void check(std::uint64_t value) {
    if (value <= last_failed_.load(std::memory_order_acquire)) [[unlikely]]
      throw_if_failed(value);
  }
  /// `undo` runs if a command that is in flight now turns out to have failed: for what the host changes between two
  /// commands.
  void undo_if_failed(std::function<void()> undo);
  /// Waits for everything; throws the oldest failure that was not reported yet.
  void synchronize();
  /// Waits for everything without throwing. Failures stay to be reported.
  void wait_idle() noexcept;
  /// Logs failures that nobody met.
  void log_unreported();

  bool is_inline() const { return inline_; }
  /// Commands whose end the host has not noticed yet.
  std::size_t pending() const;

 private:
  struct Pending {
    std::uint64_t value;
    CommandInfo info;
    std::vector<std::function<void()>> undo_after;  // of what the host did after it
    bool succeeded = false;  // its undo is not wanted; dropped outside the lock, for it may hold the last of a tensor
  };
  struct FailedRange {
    std::uint64_t first, last;                  // last: forever where the queue cannot be used any more
    std::shared_ptr<const Error::Parts> parts;  // nullptr: it was let go
    bool reported = false;
  };
  using Done = std::deque<Pending>;

  void launch_inline(std::span<lks_launch> launches, const DriverCall& call);
  std::uint64_t launch_async(std::span<lks_launch> launches, CommandInfo info, const std::function<void()>& verify);
  template <class Enqueue>
  std::uint64_t enqueue(CommandInfo info, Enqueue&& call);
  void make_room();
  void await(std::uint64_t value, const std::source_location* where);
  void settle();
  // These are called with the lock held and fill in commands whose owners are to be let go after it is released: they
  // may give memory back, which takes the allocator's lock.
  void retire_done(Done& done);
  [[nodiscard]] bool note_failure(lks_status status, const lks_diag& diag, Done& done);
  void record_failure(std::uint64_t first, lks_status status, const lks_diag& diag, Done& done);
  static void finish(Done& done);

  Error::Parts parts_of(lks_status status, const lks_diag& diag, const CommandInfo& info) const;
  void let_old_texts_go();
  FailedRange* failed_range(std::uint64_t value);
  bool has_failed(std::uint64_t value);
  void throw_if_failed(std::uint64_t value);
  void throw_if_failed_locked(std::uint64_t value);
  [[noreturn]] static void report(FailedRange& range);

  DeviceState& device_;
  const lks_driver_api& api_;
  const bool inline_;
  lks_queue* queue_ = nullptr;
  lks_timeline* timeline_ = nullptr;

  mutable std::mutex mutex_;
  std::deque<Pending> pending_;        // in order of their values
  std::uint64_t newest_ = 0;           // value of the newest command
  std::uint64_t settled_ = 0;          // up to here the queue was recovered: no command of these can fail any more
  std::vector<FailedRange> failures_;  // in order of their values
  std::atomic<std::uint64_t> last_failed_{0};
};

}  // namespace lockstep
