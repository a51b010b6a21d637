// What a queue does with commands that are done or have failed: which of them failed, what is undone and enqueued
// again, and which call throws the failure.
#include <algorithm>
#include <iterator>
#include <utility>

#include "lockstep/options.h"
#include "runtime/command_queue.h"
#include "runtime/device_state.h"
#include "runtime/host_api.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

// The number of recent failures that are kept whole. Of older ones that were reported, only the values are kept.
constexpr std::size_t max_kept_failures = 256;

class Undoing {
 public:
  Undoing() : before_(std::exchange(thread_state().undoing, true)) {}
  ~Undoing() { thread_state().undoing = before_; }
  Undoing(const Undoing&) = delete;
  Undoing& operator=(const Undoing&) = delete;

 private:
  const bool before_;
};

}  // namespace

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
  device_.count_failed_command();
  lks_diag ignored = empty_diag();
  std::uint64_t last = newest();
  const lks_status recovered = api_.queue_recover(queue_, &last, &ignored);
  if (recovered != LKS_OK) last = forever;  // nothing enqueued on this queue will ever succeed
  last = std::max(last, newest());

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
  failures_.push_back({first, last, std::make_shared<const LateFailure>(status, diag, device_name(), failed), false});
  drop_old_failures();
  recovered_up_to_ = last;
  last_failed_.store(last, std::memory_order_release);
  note_done(last);  // last: a thread that sees these commands as done must see that they have failed
}

// Limits the memory for failures that were reported.
void CommandQueue::drop_old_failures() {
  if (failures_.size() <= max_kept_failures) return;
  FailedRange& old = failures_[failures_.size() - 1 - max_kept_failures];
  if (old.reported) old.failure = nullptr;
}

// The queue counts as settled before the commands are destroyed: that may free memory of another library, whose deleter
// may make calls that wait for the queue.
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

void CommandQueue::throw_if_failed(std::uint64_t value, ThrownOn on, Undone undone) {
  if (value > last_failed_.load(std::memory_order_acquire)) return;
  FailureRef failure;
  {
    LockGuard lock(mutex_);
    if (!failed_range(value)) return;
    if (undone == Undone::awaited) wait_until_settled_locked();
    failure = note_thrown(*failed_range(value), on);
  }
  raise(failure);
}

void CommandQueue::stop_if_failed(std::uint64_t value) {
  if (!failed_range(value)) return;
  wait_until_settled_locked();
  throw FailureUnderLock{note_thrown(*failed_range(value))};
}

// Notes that a call throws the failure. The caller raises it without the lock.
CommandQueue::FailureRef CommandQueue::note_thrown(FailedRange& range, ThrownOn on) {
  if (on == ThrownOn::own_stream) range.reported = true;
  return range.failure;
}

void CommandQueue::raise(const FailureRef& failure) {
  if (failure) failure->raise();
  ErrorBuilder(ErrorId::driver_failed, "queue", "a command failed, and so many have since that its text is gone")
      .fix("read the failures as they come; this tensor has no contents")
      .raise();
}

// At the end of the process, when other languages may be gone.
void CommandQueue::log_unreported() {
  const NoResolversScope no_resolvers;
  std::vector<FailureRef> unreported;
  {
    LockGuard lock(mutex_);
    for (FailedRange& range : failures_) {
      if (!range.reported) unreported.push_back(range.failure);
      range.reported = true;
    }
  }
  for (const FailureRef& failure : unreported) {
    log(LKS_LOG_WARN, "queue", "this failure was never reported: " + failure->text());
  }
}

}  // namespace lockstep
