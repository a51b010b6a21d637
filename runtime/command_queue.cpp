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
// Number of retries after a wait itself has failed.
constexpr int max_waits = 3;

// One per thread, since initialising it takes longer than a small launch.
lks_diag& scratch_diag() {
  struct Scratch {
    lks_diag diag = empty_diag();
  };
  static thread_local ThreadOwned<Scratch> scratch;
  return scratch.get().diag;
}

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

const std::string& CommandQueue::device_name() const { return device_.name(); }

template <class Enqueue>
std::uint64_t CommandQueue::enqueue(CommandInfo info, Enqueue&& call) {
  check_not_forked();
  lks_diag diag = empty_diag();
  std::uint64_t value = 0;
  if (inline_) {
    if (const lks_status status = call(&value, &diag); status != LKS_OK)
      raise_command_failure(status, diag, device_name(), info);
    return 0;
  }
  wait_for_devices_at_exit();
  make_room();
  lks_status status = LKS_OK;
  {
    LockGuard lock(mutex_);
    status = call(&value, &diag);
    if (status == LKS_OK) add_pending(value, info);
  }
  if (status != LKS_OK) raise_command_failure(status, diag, device_name(), info);
  return value;
}

// Takes `info` over.
void CommandQueue::add_pending(std::uint64_t value, CommandInfo& info) {
  newest_.store(value, std::memory_order_release);
  pending_.push_back({value, std::move(info), {}, false, false});
}

void CommandQueue::launch_async(std::span<lks_launch> launches, CommandInfo info, const std::function<void()>& verify,
                                const Enqueued& enqueued) {
  const auto call = [&](std::uint64_t* value, lks_diag* diag) {
    verify();
    const auto count = static_cast<std::uint32_t>(launches.size());
    const lks_status status = api_.queue_launch(queue_, launches.data(), count, value, diag);
    if (status == LKS_OK) enqueued(*value);
    return status;
  };
  try {
    enqueue(std::move(info), call);
  } catch (const FailureUnderLock& found) {
    raise(found.failure);
  }
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
  info.copied = true;
  lks_diag diag = empty_diag();
  std::uint64_t value = 0;
  lks_status status = LKS_OK;
  {
    LockGuard lock(mutex_);
    const auto is_copied = [](const Pending& command) { return command.info.copied; };
    if (!std::all_of(pending_.rbegin(), pending_.rend(), is_copied)) return 0;
    status = api_.queue_write(queue_, dst.buffer, dst.offset + offset, src, bytes, &value, &diag);
    if (status == LKS_OK) add_pending(value, info);
  }
  if (status != LKS_OK) raise_command_failure(status, diag, device_name(), info);
  return value;
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
  lks_status status = LKS_OK;
  lks_diag diag = empty_diag();
  {
    LockGuard lock(mutex_);  // a value is known to others a little before newest() knows it, but not without the lock
    value = std::min(value, newest());
  }
  const Awaited awaited = try_await(value, status, diag);
  if (awaited == Awaited::finished) return;
  // This is also called while memory is freed, and a thread that undoes may need what the caller has locked. So this
  // does not wait for undoing threads.
  throw_if_failed(awaited == Awaited::later_command_failed ? diag.value : value, ThrownOn::own_stream,
                  Undone::not_awaited);
  raise_driver_failure(status, diag, device_name(), {"wait", where});
}

// The same, but returns whether the wait itself has failed, with the driver's answer. Either the driver reports a later
// command, which has failed, or no command is in flight any more.
CommandQueue::Awaited CommandQueue::try_await(std::uint64_t value, lks_status& status, lks_diag& diag) {
  status = api_.timeline_wait(timeline_, value, forever, &diag);
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
  if (status == LKS_OK || has_failed(value)) return Awaited::finished;
  if (noted) return Awaited::later_command_failed;
  wait_or_recover();
  return Awaited::wait_failed;
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

void CommandQueue::wait(std::uint64_t value, const CallSite* where, ThrownOn on) {
  if (inline_) return;
  throw_if_failed(value, on);
  await(value, where);
  throw_if_failed(value, on);
}

bool CommandQueue::wait_unless_skipped(std::uint64_t value, const CallSite* where, ThrownOn on) {
  if (inline_) return true;
  if (!has_failed(value)) await(value, where);
  FailureRef failure;
  {
    LockGuard lock(mutex_);
    if (!failed_range(value)) return true;
    wait_until_settled_locked();
    FailedRange* range = failed_range(value);
    if (range->first != value && range->last != forever) return false;
    failure = note_thrown(*range, on);
  }
  raise(failure);
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
  FailureRef failure;
  {
    LockGuard lock(mutex_);
    wait_until_settled_locked();
    const auto counts = [first](const FailedRange& range) {
      return (!range.reported && range.first >= first) || range.last == forever;
    };
    const auto range = std::find_if(failures_.begin(), failures_.end(), counts);
    if (range == failures_.end()) return;
    failure = note_thrown(*range);
  }
  raise(failure);
}

void CommandQueue::wait_idle() noexcept {
  if (inline_) return;
  const NoResolversScope no_resolvers;
  try {
    // A second round, for uploads that were enqueued again because a failure was detected.
    for (int round = 0; round < 2; ++round) {
      lks_status status = LKS_OK;
      lks_diag diag = empty_diag();
      const std::uint64_t last = newest();
      if (last == 0 || has_failed(last) || try_await(last, status, diag) == Awaited::finished) continue;
      // Nothing is in flight, and reading a failed tensor will report the failure.
      log_failed_wait(diag);
    }
  } catch (const Error& e) {
    log(LKS_LOG_WARN, "queue", e.what());
  }
}

bool CommandQueue::wait_for_device() noexcept {
  const std::uint64_t last = newest();
  if (inline_ || is_done(last)) return true;
  lks_diag diag = empty_diag();
  if (api_.timeline_wait(timeline_, last, forever, &diag) == LKS_OK) return true;
  if (diag.value == 0) log_failed_wait(diag);  // a driver reports the failure of a wait only once
  return false;
}

void CommandQueue::log_failed_wait(const lks_diag& diag) const {
  log(LKS_LOG_WARN, "queue", std::string("a wait for ") + device_name() + " failed: " + diag.what);
}

std::size_t CommandQueue::pending() const {
  LockGuard lock(mutex_);
  return pending_.size();
}

// A change that undoes a failure does not depend on the commands that are in flight then.
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

}  // namespace lockstep
