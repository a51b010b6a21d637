#include "runtime/command_queue.h"

#include <utility>

#include "runtime/device_state.h"
#include "runtime/driver_registry.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

// Enough to keep a device busy; beyond it the host waits, so that a runaway loop cannot pile up memory.
constexpr std::size_t most_pending = 4096;
constexpr std::uint64_t forever = ~std::uint64_t{0};

// One per thread: filling it costs more than a small launch.
lks_diag& scratch_diag() {
  static thread_local lks_diag diag = empty_diag();
  return diag;
}

void reset(lks_diag& diag) {
  if (diag.code != LKS_OK || diag.what[0]) diag = empty_diag();
}

}  // namespace

CommandQueue::CommandQueue(DeviceState& device, std::uint32_t kind)
    : device_(device), api_(device.api()), inline_(device.info().capabilities & LKS_CAP_INLINE_QUEUE) {
  lks_diag diag = empty_diag();
  check_driver(api_.queue_create(device.handle(), kind, &queue_, &timeline_, &diag), diag, device.name(),
               {"queue", nullptr});
}

CommandQueue::~CommandQueue() {
  wait_idle();
  pending_.clear();
  api_.queue_destroy(queue_);
}

void CommandQueue::launch_inline(std::span<lks_launch> launches, const DriverCall& call) {
  lks_diag& diag = scratch_diag();
  std::uint64_t value = 0;
  const lks_status status =
      api_.queue_launch(queue_, launches.data(), static_cast<std::uint32_t>(launches.size()), &value, &diag);
  if (status == LKS_OK) return;
  const lks_diag failure = diag;
  reset(diag);
  raise_driver_failure(status, failure, device_.name(), call);
}

template <class Enqueue>
std::uint64_t CommandQueue::enqueue(CommandInfo info, Enqueue&& call) {
  lks_diag diag = empty_diag();
  std::uint64_t value = 0;
  if (inline_) {
    check_driver(call(&value, &diag), diag, device_.name(), {info.op, &info.where});
    return 0;
  }
  wait_for_devices_at_exit();
  make_room();
  std::lock_guard lock(mutex_);
  check_driver(call(&value, &diag), diag, device_.name(), {info.op, &info.where});
  newest_ = value;
  pending_.push_back({value, std::move(info), false});
  return value;
}

std::uint64_t CommandQueue::launch_async(std::span<lks_launch> launches, const DriverCall&, CommandInfo info) {
  return enqueue(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
    return api_.queue_launch(queue_, launches.data(), static_cast<std::uint32_t>(launches.size()), value, diag);
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
                                  CommandInfo info) {
  return enqueue(std::move(info), [&](std::uint64_t* value, lks_diag* diag) {
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
    std::lock_guard lock(mutex_);
    if (pending_.size() < most_pending / 2) return;
    done = retire_done();
    if (pending_.size() >= most_pending) halfway = pending_[most_pending / 2].value;
  }
  finish(done);
  if (halfway) wait(halfway);
}

void CommandQueue::wait(std::uint64_t value) {
  if (inline_) return;
  throw_if_failed(value);
  lks_diag diag = empty_diag();
  const lks_status status = api_.timeline_wait(timeline_, value, forever, &diag);
  Done done;
  {
    std::lock_guard lock(mutex_);
    done = status == LKS_OK ? retire_done() : note_failure(status, diag);
  }
  finish(done);
  throw_if_failed(value);
}

void CommandQueue::synchronize() {
  std::uint64_t newest = 0;
  {
    std::lock_guard lock(mutex_);
    newest = newest_;
  }
  if (newest > 0) wait(newest);
}

void CommandQueue::wait_idle() noexcept {
  try {
    synchronize();
  } catch (const Error&) {
    // The failure stays recorded; whoever reads what it concerns will see it.
  }
}

std::size_t CommandQueue::pending() const {
  std::lock_guard lock(mutex_);
  return pending_.size();
}

CommandQueue::Done CommandQueue::retire_done() {
  lks_diag diag = empty_diag();
  std::uint64_t reached = 0;
  const lks_status status = api_.timeline_query(timeline_, &reached, &diag);
  if (status != LKS_OK) return note_failure(status, diag);
  Done done;
  while (!pending_.empty() && pending_.front().value <= reached) {
    done.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  for (Pending& command : done) command.succeeded = true;
  return done;
}

// Records what failed and makes the queue usable again. The skipped commands come back as not succeeded.
CommandQueue::Done CommandQueue::note_failure(lks_status status, const lks_diag& diag) {
  for (const FailedRange& known : failures_) {
    if (diag.value >= known.first && diag.value <= known.last) return {};  // another thread was faster
  }
  lks_diag ignored = empty_diag();
  std::uint64_t last = newest_;
  const lks_status recovered = api_.queue_recover(queue_, &last, &ignored);
  if (recovered != LKS_OK) last = forever;  // nothing enqueued on this queue will ever succeed

  Done done = std::exchange(pending_, {});
  FailedRange range{diag.value, last, {}};
  for (Pending& command : done) {
    command.succeeded = command.value < diag.value;  // in order, so it was done before the failure
    if (command.value == diag.value) range.parts = parts_of(status, diag, command.info);
  }
  if (range.parts.text.empty()) range.parts = parts_of(status, diag, {});
  failures_.push_back(std::move(range));
  any_failure_.store(true, std::memory_order_release);
  return done;
}

Error::Parts CommandQueue::parts_of(lks_status status, const lks_diag& diag, const CommandInfo& info) const {
  try {
    std::optional<NameScope> scope;
    if (info.scope) scope.emplace(info.scope);
    raise_driver_failure(status, diag, device_.name(), {info.op, info.where.line() ? &info.where : nullptr});
  } catch (const Error& e) {
    return e.parts();
  }
}

void CommandQueue::finish(Done& done) {
  for (auto it = done.rbegin(); it != done.rend(); ++it) {
    if (it->info.undo && !it->succeeded) it->info.undo();
  }
  done.clear();
}

void CommandQueue::throw_if_failed(std::uint64_t value) const {
  if (!any_failure_.load(std::memory_order_acquire)) return;
  std::unique_lock lock(mutex_);
  for (const FailedRange& range : failures_) {
    if (value < range.first || value > range.last) continue;
    const Error::Parts parts = range.parts;
    lock.unlock();
    rethrow(parts);
  }
}

}  // namespace lockstep
