#include "runtime/command_queue.h"

#include <algorithm>
#include <utility>

#include "lockstep/options.h"
#include "runtime/device_state.h"
#include "runtime/driver_registry.h"
#include "runtime/host_api.h"
#include "runtime/thread_owned.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

// Enough to keep a device busy. If more commands are pending, the host waits, so that a loop cannot use up memory.
constexpr std::size_t max_pending = 4096;
constexpr std::uint64_t forever = ~std::uint64_t{0};
// Number of retries after a wait itself has failed.
constexpr int max_waits = 3;
// Number of recent failures whose texts are kept. Those that were never reported are kept too.
constexpr std::size_t max_texts = 256;

// One per thread, since initialising it takes longer than a small launch.
lks_diag& scratch_diag() {
  struct Scratch {
    lks_diag diag = empty_diag();
  };
  static thread_local ThreadOwned<Scratch> scratch;
  return scratch.get().diag;
}

class Undoing {
 public:
  Undoing() : before_(std::exchange(thread_state().undoing, true)) {}
  ~Undoing() { thread_state().undoing = before_; }
  Undoing(const Undoing&) = delete;
  Undoing& operator=(const Undoing&) = delete;

 private:
  const bool before_;
};

// Until the end of the scope, this is the thread's caller, also if it has another one.
class CallerOf {
 public:
  explicit CallerOf(CallSite caller) : before_(std::exchange(thread_state().caller, caller)) {}
  ~CallerOf() { thread_state().caller = before_; }
  CallerOf(const CallerOf&) = delete;
  CallerOf& operator=(const CallerOf&) = delete;

 private:
  const CallSite before_;
};

}  // namespace

CommandQueue::CommandQueue(DeviceState& device, std::uint32_t kind)
    : device_(device),
      api_(device.api()),
      inline_(device.info().capabilities & LKS_CAP_INLINE_QUEUE),
      copies_writes_(device.info().capabilities & LKS_CAP_COPIES_WRITES) {
  lks_diag diag = empty_diag();
  check_driver(api_.queue_create(device.handle(), kind, &queue_, &timeline_, &diag), diag, device.name(),
               {"queue", nullptr});
}

CommandQueue::~CommandQueue() {
  wait_idle();
  pending_.clear();
  api_.queue_destroy(queue_);
}

lks_status CommandQueue::launch_inline(std::span<lks_launch> launches) {
  std::uint64_t value = 0;
  return api_.queue_launch(queue_, launches.data(), static_cast<std::uint32_t>(launches.size()), &value,
                           &scratch_diag());
}

// The diag of this thread's last launch_inline(), which failed.
lks_diag CommandQueue::take_inline_failure() {
  lks_diag& diag = scratch_diag();
  const lks_diag failure = diag;
  diag = empty_diag();
  return failure;
}

void CommandQueue::raise_launch_failure(lks_status status, const lks_diag& diag, DriverCall call,
                                        std::size_t count) const {
  if (diag.launch == 0 || diag.launch > count) call.first_of = count;
  raise_driver_failure(status, diag, device_.name(), call);
}

// Names the op and the line of the command, or of that launch of it which failed.
void CommandQueue::raise_failure(lks_status status, const lks_diag& diag, const CommandInfo& info) const {
  const std::size_t count = info.launches.size();
  LaunchInfo failed{info.op, info.where};
  if (count > 0) failed = info.launches[failed_launch(diag, count)];
  const DriverCall call{failed.op, failed.where.is_empty() ? nullptr : &failed.where};
  raise_launch_failure(status, diag, call, std::max<std::size_t>(count, 1));
}

template <class Enqueue>
std::uint64_t CommandQueue::enqueue(CommandInfo info, Enqueue&& call) {
  check_not_forked();
  if (inline_) {
    lks_diag diag = empty_diag();
    std::uint64_t value = 0;
    if (const lks_status status = call(&value, &diag); status != LKS_OK) raise_failure(status, diag, info);
    return 0;
  }
  wait_for_devices_at_exit();
  make_room();
  LockGuard lock(mutex_);
  return enqueue_locked(std::move(info), call);
}

template <class Enqueue>
std::uint64_t CommandQueue::enqueue_locked(CommandInfo info, Enqueue&& call) {
  lks_diag diag = empty_diag();
  std::uint64_t value = 0;
  if (const lks_status status = call(&value, &diag); status != LKS_OK) raise_failure(status, diag, info);
  newest_.store(value, std::memory_order_release);
  pending_.push_back({value, std::move(info), {}, false, false});
  return value;
}

void CommandQueue::launch_async(std::span<lks_launch> launches, CommandInfo info, const std::function<void()>& verify,
                                const Enqueued& enqueued) {
  enqueue(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
    verify();
    const auto count = static_cast<std::uint32_t>(launches.size());
    const lks_status status = api_.queue_launch(queue_, launches.data(), count, value, diag);
    if (status == LKS_OK) enqueued(*value);
    return status;
  });
}

std::uint64_t CommandQueue::copy(Block& dst, std::uint64_t dst_offset, Block& src, std::uint64_t src_offset,
                                 std::uint64_t bytes, CommandInfo info) {
  return enqueue(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
    return api_.queue_copy(queue_, dst.buffer, dst.offset + dst_offset, src.buffer, src.offset + src_offset, bytes,
                           value, diag);
  });
}

std::uint64_t CommandQueue::write(Block& dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                                  CommandInfo info, const Enqueued& enqueued) {
  return enqueue(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
    const lks_status status = api_.queue_write(queue_, dst.buffer, dst.offset + offset, src, bytes, value, diag);
    if (status == LKS_OK && enqueued) enqueued(*value);
    return status;
  });
}

std::uint64_t CommandQueue::write_copied(Block& dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                                         CommandInfo info) {
  if (inline_ || !copies_writes_) return 0;
  check_not_forked();
  wait_for_devices_at_exit();
  make_room();
  Done done;
  bool failed = false;
  {
    LockGuard lock(mutex_);
    lks_diag ignored = empty_diag();
    failed = retire_reached(done, ignored) != LKS_OK;
  }
  finish(done);
  if (failed) return 0;  // a failure is left for the call that waits: until then, commands have no effect
  LockGuard lock(mutex_);
  const auto is_copied = [](const Pending& command) { return command.info.copied; };
  if (!std::all_of(pending_.rbegin(), pending_.rend(), is_copied)) return 0;
  info.copied = true;
  return enqueue_locked(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
    return api_.queue_write(queue_, dst.buffer, dst.offset + offset, src, bytes, value, diag);
  });
}

std::uint64_t CommandQueue::read(void* dst, Block& src, std::uint64_t offset, std::uint64_t bytes, CommandInfo info) {
  return enqueue(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
    return api_.queue_read(queue_, dst, src.buffer, src.offset + offset, bytes, value, diag);
  });
}

std::uint64_t CommandQueue::fill(Block& dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                                 std::uint32_t pattern_bytes, CommandInfo info) {
  return enqueue(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
    return api_.queue_fill(queue_, dst.buffer, dst.offset + offset, bytes, pattern, pattern_bytes, value, diag);
  });
}

void CommandQueue::make_room() {
  Done done;
  std::uint64_t halfway = 0;
  {
    LockGuard lock(mutex_);
    if (pending_.size() < max_pending / 2) return;
    retire_done(done);
    if (pending_.size() >= max_pending) halfway = pending_[max_pending / 2].value;
  }
  finish(done);
  if (halfway) await(halfway, nullptr);
}

// ------------------------------------------------------------------------------------------------------------ waiting

// Blocks until the command is done, or is known to have failed. Throws if the wait itself fails. A value that the queue
// has not given to a command is not waited for, because it may never be reached.
void CommandQueue::await(std::uint64_t value, const CallSite* where) {
  lks_diag diag = empty_diag();
  {
    LockGuard lock(mutex_);  // a value is known to others a little before newest() knows it, but not without the lock
    value = std::min(value, newest());
  }
  const lks_status status = api_.timeline_wait(timeline_, value, forever, &diag);
  Done done;
  bool noted = true;
  {
    LockGuard lock(mutex_);
    if (status == LKS_OK) {
      retire_done(done);
    } else {
      noted = note_failure(status, diag, done);
    }
  }
  finish(done);
  if (status == LKS_OK || has_failed(value)) return;
  // The driver reports a later command, or the wait itself has failed. A thread that waits for memory has the
  // allocator's lock, which those may need who undo: so nobody is waited for here.
  const auto throw_failure_of = [this](std::uint64_t failed) {
    LockGuard lock(mutex_);
    if (FailedRange* range = failed_range(failed)) report(*range);
  };
  if (noted) throw_failure_of(diag.value);
  wait_or_recover();
  throw_failure_of(value);
  raise_driver_failure(status, diag, device_.name(), {"wait", where});
}

// Called after a wait itself has failed: commands may still be in flight, and what they use must stay valid. Waits
// again. If that fails too, recovers the queue, which also waits; the pending commands then count as failed.
void CommandQueue::wait_or_recover() {
  lks_diag diag = empty_diag();
  lks_status status = LKS_OK;
  Done done;
  bool idle = false;
  for (int i = 0; i < max_waits && !idle; ++i) {
    diag = empty_diag();
    status = api_.timeline_wait(timeline_, newest(), forever, &diag);
    LockGuard lock(mutex_);
    if (status == LKS_OK) retire_done(done);
    idle = status == LKS_OK || note_failure(status, diag, done);
  }
  if (!idle) {
    LockGuard lock(mutex_);
    if (!pending_.empty()) record_failure(pending_.front().value, status, diag, done);
  }
  finish(done);
}

void CommandQueue::wait(std::uint64_t value, const CallSite* where, MetBy by) {
  if (inline_) return;
  throw_if_failed(value, by);
  await(value, where);
  throw_if_failed(value, by);
}

bool CommandQueue::wait_unless_skipped(std::uint64_t value, const CallSite* where, MetBy by) {
  if (inline_) return true;
  if (!has_failed(value)) await(value, where);
  LockGuard lock(mutex_);
  if (!failed_range(value)) return true;
  wait_until_settled_locked();
  FailedRange* range = failed_range(value);
  if (range->first == value || range->last == forever) report(*range, by);
  return false;
}

void CommandQueue::settle(std::uint64_t value, const CallSite* where) {
  wait_until_done(value, where);
  wait_until_settled();
}

void CommandQueue::wait_for_all(const CallSite* where) {
  if (inline_) return;
  const std::uint64_t last = newest();
  if (last > 0 && !has_failed(last)) await(last, where);
}

void CommandQueue::report_from(std::uint64_t first) {
  LockGuard lock(mutex_);
  wait_until_settled_locked();
  for (FailedRange& range : failures_) {
    if ((!range.reported && range.first >= first) || range.last == forever) report(range);
  }
}

void CommandQueue::wait_idle() noexcept {
  if (inline_) return;
  try {
    // A second time for uploads that were enqueued again because a failure became known.
    for (int round = 0; round < 2; ++round) wait_for_all();
  } catch (const Error& e) {
    // Nothing is in flight, and reading a failed tensor will report the failure.
    log(LKS_LOG_WARN, "queue", e.what());
  }
}

std::size_t CommandQueue::pending() const {
  LockGuard lock(mutex_);
  return pending_.size();
}

// While a failure is being undone, what other commands are in flight has nothing to do with the change.
std::uint64_t CommandQueue::undo_if_failed(std::function<void()> undo) {
  if (inline_ || thread_state().undoing) return 0;
  LockGuard lock(mutex_);
  if (pending_.empty()) return 0;
  pending_.back().undo_after.push_back(std::move(undo));
  return pending_.back().value;
}

void CommandQueue::refresh_done() {
  if (inline_) return;
  if (!mutex_.try_lock()) return;
  LockGuard lock(mutex_, std::adopt_lock);
  std::uint64_t reached = 0;
  lks_diag ignored = empty_diag();  // a failure is left for the call that waits
  static_cast<void>(api_.timeline_query(timeline_, &reached, &ignored));
  note_done(std::min(reached, newest()));
}

bool CommandQueue::is_free() {
  Done done;
  bool free = false;
  {
    LockGuard lock(mutex_);
    lks_diag ignored = empty_diag();  // a failure is left for those who use the queue or synchronize the device
    const bool works = retire_reached(done, ignored) == LKS_OK;
    free = works && pending_.empty() && settling_ == 0 && recovered_up_to_ != forever;
  }
  finish(done);
  return free;
}

// -------------------------------------------------------------------------------------------------- done, or failed

void CommandQueue::retire_done(Done& done) {
  lks_diag diag = empty_diag();
  const lks_status status = retire_reached(done, diag);
  // If this is not the failure of a command, the next wait reports it.
  if (status != LKS_OK) static_cast<void>(note_failure(status, diag, done));
}

lks_status CommandQueue::retire_reached(Done& done, lks_diag& diag) {
  std::uint64_t reached = 0;
  const lks_status status = api_.timeline_query(timeline_, &reached, &diag);
  if (status != LKS_OK) return status;
  note_done(std::min(reached, newest()));
  while (!pending_.empty() && pending_.front().value <= reached) {
    done.commands.push_back(std::move(pending_.front()));
    done.commands.back().succeeded = true;
    pending_.pop_front();
  }
  return LKS_OK;
}

void CommandQueue::note_done(std::uint64_t value) {
  if (value > done_.load(std::memory_order_relaxed)) done_.store(value, std::memory_order_release);
}

// Returns false if diag.value is not a command that can still fail: the wait itself failed, or another thread has
// already recorded the failure.
bool CommandQueue::note_failure(lks_status status, const lks_diag& diag, Done& done) {
  if (diag.value <= recovered_up_to_ || diag.value > newest()) return false;
  record_failure(diag.value, status, diag, done);
  return true;
}

// Makes the queue usable again. The failed and the skipped commands get succeeded = false.
void CommandQueue::record_failure(std::uint64_t first, lks_status status, const lks_diag& diag, Done& done) {
  lks_diag ignored = empty_diag();
  std::uint64_t last = newest();
  const lks_status recovered = api_.queue_recover(queue_, &last, &ignored);
  if (recovered != LKS_OK) last = forever;  // nothing enqueued on this queue will ever succeed
  last = std::max(last, newest());

  FailedRange range{first, last, nullptr, false};
  CommandInfo failed;
  for (Pending& command : pending_) {
    command.succeeded = command.value < first;  // commands run in order, so it was done before the failure
    command.skipped = command.value > first && last != forever;
    if (command.value == first) {
      failed = {.op = command.info.op,
                .where = command.info.where,
                .scope = command.info.scope,
                .launches = std::move(command.info.launches),
                .caller = command.info.caller};
    }
    done.commands.push_back(std::move(command));
  }
  pending_.clear();
  ++done.failures;
  ++settling_;
  range.parts = std::make_shared<const Error::Parts>(parts_of(status, diag, failed));
  failures_.push_back(std::move(range));
  drop_old_texts();
  recovered_up_to_ = last;
  last_failed_.store(last, std::memory_order_release);
  note_done(last);  // last: who sees these commands done must see that they have failed
}

Error::Parts CommandQueue::parts_of(lks_status status, const lks_diag& diag, const CommandInfo& info) const {
  try {
    const NameScope scope(info.scope);
    const CallerOf caller(info.caller);
    raise_failure(status, diag, info);
  } catch (const Error& e) {
    return e.parts();
  }
}

// Limits the memory for the texts of failures that were reported.
void CommandQueue::drop_old_texts() {
  if (failures_.size() <= max_texts) return;
  FailedRange& old = failures_[failures_.size() - 1 - max_texts];
  if (old.reported) old.parts = nullptr;
}

// The queue counts as settled before the commands are destroyed: what that frees may belong to somebody else, whose
// deleter may make calls that wait for the queue.
void CommandQueue::finish(Done& done) {
  {
    const Settling settling(*this, done.failures);
    undo_and_repeat(done);
  }
  done.commands.clear();
}

// In reverse order: the last change is undone first. Then state is as it was before the failure.
void CommandQueue::undo_and_repeat(const Done& done) {
  const Undoing undoing;
  for (auto command = done.commands.rbegin(); command != done.commands.rend(); ++command) {
    if (command->succeeded) continue;
    for (auto undo = command->undo_after.rbegin(); undo != command->undo_after.rend(); ++undo) (*undo)();
    if (command->info.undo) command->info.undo();
  }
  for (const Pending& command : done.commands) {
    if (command.skipped && command.info.again) command.info.again();
  }
}

CommandQueue::Settling::~Settling() {
  if (failures_ == 0) return;
  {
    LockGuard lock(queue_.mutex_);
    queue_.settling_ -= failures_;
  }
  queue_.settled_.notify_all();
}

void CommandQueue::wait_until_settled() {
  LockGuard lock(mutex_);
  wait_until_settled_locked();
}

void CommandQueue::wait_until_settled_locked() {
  if (thread_state().undoing) return;
  while (settling_ > 0) settled_.wait(mutex_);
}

// ---------------------------------------------------------------------------------------------------------- reporting

CommandQueue::FailedRange* CommandQueue::failed_range(std::uint64_t value) {
  const auto after = std::upper_bound(failures_.begin(), failures_.end(), value,
                                      [](std::uint64_t v, const FailedRange& range) { return v < range.first; });
  if (after == failures_.begin()) return nullptr;
  FailedRange& range = *std::prev(after);
  return value <= range.last ? &range : nullptr;
}

bool CommandQueue::has_failed(std::uint64_t value) {
  if (value > last_failed_.load(std::memory_order_acquire)) return false;
  LockGuard lock(mutex_);
  return failed_range(value) != nullptr;
}

void CommandQueue::throw_if_failed(std::uint64_t value, MetBy by) {
  if (value > last_failed_.load(std::memory_order_acquire)) return;
  LockGuard lock(mutex_);
  throw_if_failed_locked(value, by);
}

void CommandQueue::throw_if_failed_locked(std::uint64_t value, MetBy by) {
  if (!failed_range(value)) return;
  wait_until_settled_locked();
  report(*failed_range(value), by);
}

void CommandQueue::report(FailedRange& range, MetBy by) {
  if (by == MetBy::own_stream) range.reported = true;
  if (range.parts) rethrow(*range.parts);
  ErrorBuilder(ErrorId::driver_failed, "queue", "a command failed, and so many have since that its text is gone")
      .fix("read the failures as they come; this tensor has no contents")
      .raise();
}

void CommandQueue::log_unreported() {
  LockGuard lock(mutex_);
  for (FailedRange& range : failures_) {
    if (!range.reported) log(LKS_LOG_WARN, "queue", "this failure was never met: " + range.parts->text);
    range.reported = true;
  }
}

}  // namespace lockstep
