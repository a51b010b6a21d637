// A device queue on the host side. It records which line of the user's program each command came from, and turns
// asynchronous failures into exceptions that name this line.
//
// If a command fails on the device, the device skips all commands that were enqueued after it until the host notices,
// and their changes to host state are undone. The program's state is then as it was when the failed command was
// enqueued. Only uploads into new memory, which depend on nothing, are enqueued again, unless it was an upload before
// them that failed (write_copied). The failure is reported once, by the first of these calls: a read or an op with an
// operand whose contents are missing because of it, or synchronize(). After that, only the use of tensors without
// contents throws it. A device has one queue of its own, and one for each stream; each has its own failures.
//
// Locks, in the order in which a thread may take them: the allocator's, a queue's, the device's for the uses of blocks.
// No thread has the locks of two queues. A thread that has a queue's lock neither makes the text of an error nor waits
// for the device, except to recover the queue after a failure.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "api/internal/mutex.h"
#include "runtime/command_info.h"
#include "runtime/forked.h"
#include "runtime/late_failure.h"
#include "runtime/memory/block.h"
#include "runtime/ring.h"

namespace lockstep {

class DeviceState;

class CommandQueue {
 public:
  CommandQueue(DeviceState& device, std::uint32_t kind);
  ~CommandQueue();
  CommandQueue(const CommandQueue&) = delete;
  CommandQueue& operator=(const CommandQueue&) = delete;

  /// Called with the timeline value of a command that was enqueued, with the lock held. It changes what `undo` and
  /// `again` of the command change or read: another thread may notice the failure as soon as the lock is released.
  using Enqueued = std::function<void(std::uint64_t value)>;

  /// Enqueues the launches as one unit: all or none. Throws if nothing was enqueued. `call` returns the DriverCall of
  /// the launch with a given index, and is called only on failure. `info`, `verify` and `enqueued` are called only if
  /// the queue is asynchronous; `verify` must call `verify_written` for every block that the launches read.
  template <class CallOf, class MakeInfo, class Verify, class OnEnqueued>
  void launch(std::span<lks_launch> launches, CallOf&& call, MakeInfo&& info, Verify&& verify, OnEnqueued&& enqueued) {
    check_not_forked();
    if (inline_) {
      if (const lks_status status = launch_inline(launches); status != LKS_OK) [[unlikely]]
        raise_inline_failure(status, launches.size(), call);
    } else {
      launch_async(launches, info(), verify, enqueued);
    }
  }
  /// For `verify`: throws if the command of `value` has failed. Runs with the lock held, so no failure can be detected
  /// between this check and the launch.
  void verify_written(std::uint64_t value) {
    mutex_.assume_held();
    if (value <= last_failed_.load(std::memory_order_relaxed)) [[unlikely]]
      stop_if_failed(value);
  }

  std::uint64_t copy(Block& dst, std::uint64_t dst_offset, Block& src, std::uint64_t src_offset, std::uint64_t bytes,
                     CommandInfo info);
  /// `src` must stay valid until the command is done: pass its owner in info.keep.
  std::uint64_t write(Block& dst, std::uint64_t offset, const void* src, std::uint64_t bytes, CommandInfo info,
                      const Enqueued& enqueued = nullptr);
  /// The same, if `src` need not stay valid after the call: the driver copies it (LKS_CAP_COPIES_WRITES), and the
  /// command will not be skipped because an earlier one fails, unless that is an upload too. Otherwise enqueues nothing
  /// and returns 0: the caller then keeps a copy, from which a skipped write can be enqueued again.
  std::uint64_t write_copied(Block& dst, std::uint64_t offset, const void* src, std::uint64_t bytes, CommandInfo info);
  std::uint64_t read(void* dst, Block& src, std::uint64_t offset, std::uint64_t bytes, CommandInfo info);
  std::uint64_t fill(Block& dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                     std::uint32_t pattern_bytes, CommandInfo info);

  /// Which call throws a failure: one on the failed stream, which then counts as having reported it, or one on another
  /// stream.
  enum class ThrownOn : std::uint8_t { own_stream, other_stream };

  /// Blocks until `value` is reached. Throws the failure of that command, or of the earlier one because of which it was
  /// skipped. If the wait itself fails, throws for `where`; no command is in flight then.
  void wait(std::uint64_t value, const CallSite* where = nullptr, ThrownOn on = ThrownOn::own_stream);
  /// The same, but if the command was skipped because an earlier one failed, returns false and does not report that
  /// failure. The caller may enqueue the command again if its operands are valid.
  bool wait_unless_skipped(std::uint64_t value, const CallSite* where = nullptr, ThrownOn on = ThrownOn::own_stream);
  /// Blocks until the commands up to `value` use no memory any more. Throws only if the wait itself fails.
  void wait_until_done(std::uint64_t value, const CallSite* where = nullptr) {
    if (!inline_ && !is_done(value)) await(value, where);
  }
  /// The same; then waits until commands that have failed or were skipped are undone. Must not be called while undoing.
  void settle(std::uint64_t value, const CallSite* where = nullptr) LOCKSTEP_EXCLUDES(mutex_);
  /// Waits until a thread that has found a failure has undone the skipped commands and enqueued some of them again.
  /// Failures are thrown after that, so that a handler finds the state from before the failure.
  void wait_until_settled() LOCKSTEP_EXCLUDES(mutex_);
  /// Whether the command of `value` may be known to have failed. False is certain. Takes no lock.
  bool may_have_failed(std::uint64_t value) const { return value <= last_failed_.load(std::memory_order_acquire); }
  /// Throws if the command of `value` is already known to have failed. Does not wait for the device.
  void check(std::uint64_t value, ThrownOn on = ThrownOn::own_stream) {
    if (may_have_failed(value)) [[unlikely]]
      throw_if_failed(value, on);
  }
  /// `undo` runs if a command that is in flight now turns out to have failed. For changes that the host makes between
  /// two commands. Returns the value of the newest of these commands; 0 if nothing is in flight, or a failure is being
  /// undone: `undo` is dropped then.
  std::uint64_t undo_if_failed(std::function<void()> undo);
  /// Waits for all commands; throws the oldest failure that was not reported yet.
  void synchronize() {
    wait_for_all();
    report_from(0);
  }
  /// Waits for all commands. Throws only if the wait itself fails.
  void wait_for_all(const CallSite* where = nullptr);
  /// Throws the oldest failure of a command of `first` or later that was not reported yet.
  void report_from(std::uint64_t first);
  /// Waits for all commands without throwing. Failures remain to be reported.
  void wait_idle() noexcept;
  /// Waits until the device works on no command of this queue any more. Finishes none of them: they are not destroyed,
  /// and the failure of a command is left for the next call that waits. False if a command or the wait itself failed:
  /// what is in flight may then still use its memory.
  [[nodiscard]] bool wait_for_device() noexcept;
  /// Logs failures that were never reported.
  void log_unreported();

  /// The value of the newest command.
  std::uint64_t newest() const { return newest_.load(std::memory_order_acquire); }
  /// Whether the host knows that the commands up to `value` use no memory any more. Takes no lock.
  bool is_done(std::uint64_t value) const { return value <= done_.load(std::memory_order_acquire); }
  /// Whether the host knows that the command has not failed and will not.
  bool has_succeeded(std::uint64_t value) { return is_done(value) && !has_failed(value); }
  /// Asks the driver how far the queue is, so that is_done() knows more. Does nothing if another thread has the queue's
  /// lock, so it never waits, not even for a queue that is being recovered.
  void refresh_done();
  /// Whether nothing is in flight and the queue can be used. Undoes nothing: a queue with a failure that was not
  /// detected yet is not free.
  bool is_free();

  bool is_inline() const { return inline_; }
  /// Number of commands that the host does not yet know to be done.
  std::size_t pending() const;

 private:
  struct Pending {
    std::uint64_t value;
    CommandInfo info;
    std::vector<std::function<void()>> undo_after;  // undo what the host did after it
    bool succeeded = false;  // `undo` must not run; it is destroyed outside the lock, since it may free a tensor
    bool skipped = false;    // an earlier command failed, and the queue works again
  };
  static constexpr std::uint64_t forever = ~std::uint64_t{0};
  // nullptr: freed, see drop_old_failures().
  using FailureRef = std::shared_ptr<const LateFailure>;
  struct FailedRange {
    std::uint64_t first, last;  // last: `forever` if the queue cannot be used any more
    FailureRef failure;
    bool reported = false;
  };
  // Thrown where the lock is held; caught where it is released, and rethrown as an Error.
  struct FailureUnderLock {
    FailureRef failure;
  };
  enum class Awaited : std::uint8_t { finished, later_command_failed, wait_failed };
  // Commands that are done, or have failed, or were skipped. Passed to finish().
  struct Done {
    std::vector<Pending> commands;  // most calls find none, and then allocate nothing
    unsigned failures = 0;          // how many calls of record_failure() have added to it
  };
  // Until its end, this many of the failures in settling_ are being undone.
  class [[nodiscard]] Settling {
   public:
    Settling(CommandQueue& queue, unsigned& failures) : queue_(queue), failures_(std::exchange(failures, 0)) {}
    ~Settling();
    Settling(const Settling&) = delete;
    Settling& operator=(const Settling&) = delete;

   private:
    CommandQueue& queue_;
    const unsigned failures_;
  };

  lks_status launch_inline(std::span<lks_launch> launches);
  static lks_diag take_inline_failure();
  // Not inline, because the diag is large and would lie on the stack of every launch.
  template <class CallOf>
  [[noreturn, gnu::cold, gnu::noinline]] void raise_inline_failure(lks_status status, std::size_t count,
                                                                   const CallOf& call) const {
    const lks_diag failure = take_inline_failure();
    raise_launch_failure(status, failure, device_name(), call(failed_launch(failure, count)), count);
  }
  const std::string& device_name() const;
  void launch_async(std::span<lks_launch> launches, CommandInfo info, const std::function<void()>& verify,
                    const Enqueued& enqueued);
  template <class Enqueue>
  std::uint64_t enqueue(CommandInfo info, Enqueue&& call);
  void add_pending(std::uint64_t value, CommandInfo& info) LOCKSTEP_REQUIRES(mutex_);
  void make_room() LOCKSTEP_EXCLUDES(mutex_);
  void await(std::uint64_t value, const CallSite* where) LOCKSTEP_EXCLUDES(mutex_);
  Awaited try_await(std::uint64_t value, lks_status& status, lks_diag& diag) LOCKSTEP_EXCLUDES(mutex_);
  void wait_or_recover() LOCKSTEP_EXCLUDES(mutex_);
  void log_failed_wait(const lks_diag& diag) const;
  // These are called with the lock held. They move finished commands to `done`, which the caller passes to finish()
  // after it releases the lock: destroying a command may free memory, which takes the allocator's lock.
  void retire_done(Done& done) LOCKSTEP_REQUIRES(mutex_);
  lks_status retire_reached(Done& done, lks_diag& diag) LOCKSTEP_REQUIRES(mutex_);
  [[nodiscard]] bool note_failure(lks_status status, const lks_diag& diag, Done& done) LOCKSTEP_REQUIRES(mutex_);
  void record_failure(std::uint64_t first, lks_status status, const lks_diag& diag, Done& done)
      LOCKSTEP_REQUIRES(mutex_);
  void finish(Done& done) LOCKSTEP_EXCLUDES(mutex_);
  static void undo_and_repeat(const Done& done);

  void drop_old_failures() LOCKSTEP_REQUIRES(mutex_);
  FailedRange* failed_range(std::uint64_t value) LOCKSTEP_REQUIRES(mutex_);
  bool has_failed(std::uint64_t value) LOCKSTEP_EXCLUDES(mutex_);
  enum class Undone : std::uint8_t { awaited, not_awaited };
  void throw_if_failed(std::uint64_t value, ThrownOn on = ThrownOn::own_stream, Undone undone = Undone::awaited)
      LOCKSTEP_EXCLUDES(mutex_);
  void stop_if_failed(std::uint64_t value) LOCKSTEP_REQUIRES(mutex_);
  static FailureRef note_thrown(FailedRange& range, ThrownOn on = ThrownOn::own_stream);
  [[noreturn]] static void raise(const FailureRef& failure);
  void wait_until_settled_locked() LOCKSTEP_REQUIRES(mutex_);
  void note_done(std::uint64_t value) LOCKSTEP_REQUIRES(mutex_);

  DeviceState& device_;
  const lks_driver_api& api_;
  const bool inline_, copies_writes_;
  lks_queue* queue_ = nullptr;
  lks_timeline* timeline_ = nullptr;

  mutable Mutex mutex_;
  ConditionVariable settled_;                          // settling_ has become 0
  unsigned settling_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // failures that are still to be undone
  Ring<Pending> pending_ LOCKSTEP_GUARDED_BY(mutex_);  // in order of their values
  // These two change with the lock only.
  std::atomic<std::uint64_t> newest_{0};  // value of the newest command
  std::atomic<std::uint64_t> done_{0};    // see is_done()
  // The queue was recovered up to this value: no earlier command can fail any more.
  std::uint64_t recovered_up_to_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::vector<FailedRange> failures_ LOCKSTEP_GUARDED_BY(mutex_);  // in order of their values
  std::atomic<std::uint64_t> last_failed_{0};
};

}  // namespace lockstep
