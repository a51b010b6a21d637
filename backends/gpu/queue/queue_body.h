// The functions of queue.h. A driver includes this in one file and instantiates its queue there.
#pragma once

#include <algorithm>
#include <cstring>
#include <thread>

#include "backends/gpu/failure.h"
#include "backends/gpu/queue/queue.h"

namespace gpu {

template <class Native>
bool Queue<Native>::close() {
  {
    // Commands that nobody waited for are still in flight, or were never submitted.
    const lockstep::LockGuard lock(mutex_);
    close_batch();
    idle_.wait(mutex_, [this]() LOCKSTEP_REQUIRES(mutex_) { return is_idle(); });
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::uint64_t last_serial = 0;
  {
    const lockstep::LockGuard lock(mutex_);
    if (stuck_.empty()) return true;
    last_serial = serial_;
  }
  return !native.is_still_running(last_serial);
}

template <class Native>
Queue<Native>::~Queue() {
  if (!stop_) close();
}

// ----------------------------------------------------------------------------------------------------------- recording

template <class Native>
typename Native::Batch& Queue<Native>::open_batch() {
  if (batch_) return *batch_;
  std::unique_ptr<Batch> batch;
  if (spare_.empty()) {
    batch = native.new_batch();
  } else {
    batch = std::move(spare_.back());
    spare_.pop_back();
  }
  batch->begin();
  batch_ = std::move(batch);
  return *batch_;
}

template <class Native>
std::uint64_t Queue<Native>::enqueue(const std::function<void(Command&)>& plan_command) {
  native.check_usable();
  native.check_recording();
  {
    const lockstep::LockGuard lock(mutex_);
    if (failed_) return ++newest_;
  }
  Command& command = native.command();
  command.begin(newest_ + 1);
  try {
    plan_command(command);  // without the lock: it may call the host
    const lockstep::LockGuard lock(mutex_);
    if (failed_) {
      command.drop();
      return ++newest_;
    }
    start_thread();  // it may throw, so before anything is enqueued
    stuck_.reserve(stuck_.size() + in_flight_.size() + pending_submits_.size() + 1);
    Batch& batch = open_batch();
    batch.make_room(command);
    batch.record(command, ++newest_);
    if (batch.count() >= batch_limit_ || batch.staged_bytes > max_staged_bytes) {
      batch_limit_ = std::min(2 * batch_limit_, max_commands);
      close_batch();
    }
  } catch (...) {
    command.drop();
    throw;
  }
  return newest_;
}

template <class Native>
void Queue<Native>::wait_for(lks_timeline& other, std::uint64_t value) {
  native.check_usable();
  const lockstep::LockGuard lock(mutex_);
  if (failed_) {
    ++newest_;
    return;
  }
  start_thread();
  close_batch();
  PendingSubmit pending;
  pending.timeline = &other;
  pending.wanted = value;
  pending.value = ++newest_;
  pending_submits_.push_back(std::move(pending));
  wake_.notify_all();
}

template <class Native>
void Queue<Native>::flush() {
  const lockstep::LockGuard lock(mutex_);
  batch_limit_ = min_commands;
  close_batch();
}

// ---------------------------------------------------------------------------------------------------------- submitting

template <class Native>
void Queue<Native>::start_thread() {
  if (!thread_.joinable()) thread_.start([this] { run(); });
}

template <class Native>
void Queue<Native>::close_batch() {
  if (!batch_ || batch_->empty()) return;
  PendingSubmit pending;
  pending.batch = std::move(batch_);
  pending_submits_.push_back(std::move(pending));
  submit_to_device();
}

// Submits the batches up to the next wait. The lock is released meanwhile, because the host's fault points may call
// back; only one thread submits at a time, so that batches keep their order.
template <class Native>
void Queue<Native>::submit_to_device() {
  if (is_submitting_) return;
  is_submitting_ = true;
  const auto done = [this](void*) LOCKSTEP_REQUIRES(mutex_) {
    is_submitting_ = false;
    wake_.notify_all();
    if (is_idle()) idle_.notify_all();
  };
  const std::unique_ptr<void, decltype(done)> whatever_happens(this, done);
  while (!pending_submits_.empty() && pending_submits_.front().batch) {
    std::unique_ptr<Batch> batch = std::move(pending_submits_.front().batch);
    pending_submits_.pop_front();
    if (failed_) {
      discard(std::move(batch));  // the queue has failed since it was recorded
    } else {
      submit(std::move(batch));
    }
  }
}

template <class Native>
void Queue<Native>::submit(std::unique_ptr<Batch> batch) {
  InFlight in_flight;
  in_flight.first = batch->first;
  in_flight.last = batch->last;
  const std::uint64_t serial = serial_ + 1;
  lks_diag diag = common::empty_diag();
  lks_status status = LKS_OK;
  {
    const lockstep::UnlockGuard unlocked(mutex_);
    status = guard(&diag, [&] {
      native.health().check();
      native.submit(*batch, serial);
    });
  }
  if (status == LKS_OK) {
    in_flight.serial = serial_ = serial;
    in_flight.batch = std::move(batch);
  } else {
    failed_ = true;
    if (status == LKS_DEVICE_LOST) native.health().note_lost(diag);
    in_flight.failure = diag;
    discard(std::move(batch));
  }
  in_flight_.push_back(std::move(in_flight));
}

template <class Native>
void Queue<Native>::discard(std::unique_ptr<Batch> batch) {
  batch->reset();
  spare_.push_back(std::move(batch));
}

// --------------------------------------------------------------------------------------------------------- the thread

template <class Native>
void Queue<Native>::run() {
  const lockstep::LockGuard lock(mutex_);
  while (true) {
    wake_.wait(mutex_, [this]() LOCKSTEP_REQUIRES(mutex_) {
      return stop_ || !in_flight_.empty() || (!pending_submits_.empty() && !is_submitting_);
    });
    if (in_flight_.empty() && pending_submits_.empty()) return;
    submit_pending();
    if (!in_flight_.empty()) retire_oldest();
    if (is_idle()) idle_.notify_all();
  }
}

// Submits what is pending, up to the first wait for a timeline that has not reached its value.
template <class Native>
void Queue<Native>::submit_pending() {
  while (!pending_submits_.empty() && !is_submitting_) {
    if (pending_submits_.front().batch) {
      submit_to_device();
      continue;
    }
    if (failed_) {
      pending_submits_.pop_front();
      continue;
    }
    lks_timeline& other = *pending_submits_.front().timeline;
    const std::uint64_t wanted = pending_submits_.front().wanted, value = pending_submits_.front().value;
    const std::uint64_t time_limit = in_flight_.empty() ? poll_ns : 0;
    lks_diag diag = common::empty_diag();
    lks_status status = LKS_OK;
    {
      const lockstep::UnlockGuard unlocked(mutex_);
      // The command that is waited for may be recorded but not submitted.
      if (other.queue && other.queue != timeline.queue) Native::flush(*other.queue);
      status = other.wait(wanted, time_limit, &diag);
    }
    if (status == LKS_TIMEOUT) return;
    pending_submits_.pop_front();
    InFlight in_flight;
    in_flight.first = in_flight.last = value;
    if (status != LKS_OK) {
      failed_ = true;
      common::clear_launch(&diag);
      in_flight.failure = diag;
    }
    in_flight_.push_back(std::move(in_flight));
  }
}

// Waits, without the lock, until the device has reached `serial`. Returns LKS_TIMEOUT if it has not in time, or if the
// wait itself failed and must be retried.
template <class Native>
lks_status Queue<Native>::wait_for_serial(std::uint64_t serial, std::uint64_t time_limit, lks_diag& diag) {
  bool is_done = false;
  const lockstep::UnlockGuard unlocked(mutex_);
  lks_status status = guard(&diag, [&] { is_done = native.wait(serial, time_limit); });
  if (status == LKS_OK && !is_done) {
    status = LKS_TIMEOUT;
  } else if (status != LKS_OK && status != LKS_DEVICE_LOST) {
    // The wait failed, for lack of memory for example, but the device works on. One wait for the timeline returns this
    // failure.
    timeline.fail_a_wait(diag);
    std::this_thread::sleep_for(std::chrono::nanoseconds(poll_ns));
    status = LKS_TIMEOUT;
  }
  return status;
}

// The same for the oldest batch in flight. Returns LKS_DEVICE_LOST once it has taken longer than the time limit.
template <class Native>
lks_status Queue<Native>::await_within_limit(InFlight& in_flight, std::uint64_t serial, std::uint64_t time_limit,
                                             lks_diag& diag) {
  if (native.health().is_lost()) return native.health().status(&diag);
  const TimeLimit& limit = native.time_limit();
  if (limit.ns == forever) return wait_for_serial(serial, time_limit, diag);
  const auto now = Clock::now();
  if (in_flight.since == Clock::time_point{}) in_flight.since = now;
  const auto begun = std::max(in_flight.since, native.last_progress());
  const auto gone =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::nanoseconds(now - begun).count()));
  if (gone < limit.ns) return wait_for_serial(serial, std::min(time_limit, limit.ns - gone), diag);
  diag = limit.exceeded(in_flight.batch->count());
  native.mark_timed_out(diag);
  return LKS_DEVICE_LOST;
}

// Waits for what is oldest in flight and reports its result. If something is pending, the wait is short, so that the
// timelines that pending batches wait for are polled too.
template <class Native>
void Queue<Native>::retire_oldest() {
  InFlight& in_flight = in_flight_.front();
  lks_status status = LKS_OK;
  lks_diag diag = common::empty_diag();
  if (in_flight.batch) {
    status = await_within_limit(in_flight, in_flight.serial, pending_submits_.empty() ? forever : poll_ns, diag);
    if (status == LKS_TIMEOUT) return;
    if (status == LKS_OK) native.note_progress();
    // A later batch may be running and writing its own failure. The failed command can be read only once all submitted
    // batches are done.
    in_flight.a_command_failed = status == LKS_OK && native.state().failed != 0;
    if (in_flight.a_command_failed) {
      // The serial of a batch that is being submitted is not known yet.
      wake_.wait(mutex_, [this]() LOCKSTEP_REQUIRES(mutex_) { return !is_submitting_; });
      do {
        status = await_within_limit(in_flight, serial_, forever, diag);
      } while (status == LKS_TIMEOUT);
    }
  }
  InFlight oldest = std::move(in_flight_.front());
  in_flight_.pop_front();
  finish(oldest, status, diag);
}

template <class Native>
void Queue<Native>::finish(InFlight& in_flight, lks_status status, lks_diag& diag) {
  if (in_flight.failure) {
    fail(*in_flight.failure, in_flight.first);
  } else if (status != LKS_OK) {
    failed_ = true;
    native.health().note_lost(diag);
    fail(diag, in_flight.first);
  } else if (!timeline.failed()) {
    if (in_flight.batch) {
      report(in_flight);
    } else {
      timeline.reach(in_flight.last);
    }
  }
  // A batch that a lost device may still be running is never reused.
  if (!in_flight.batch) return;
  status == LKS_OK ? discard(std::move(in_flight.batch)) : stuck_.push_back(std::move(in_flight.batch));
}

template <class Native>
void Queue<Native>::report(const InFlight& in_flight) {
  const State& state = native.state();
  const bool has_failed = in_flight.a_command_failed && state.value <= in_flight.last;
  const std::uint64_t done = has_failed ? state.value - 1 : in_flight.last;
  for (const HostCopy& r : in_flight.batch->host_copies) {
    if (r.value <= done) std::memcpy(r.to, r.from, r.bytes);
  }
  timeline.reach(done);
  if (!has_failed) return;
  failed_ = true;
  timeline.fail(failure_in(state), state.value);
}

// The timeline keeps its first failure.
template <class Native>
void Queue<Native>::fail(const lks_diag& diag, std::uint64_t value) {
  if (!timeline.failed()) timeline.fail(diag, value);
}

template <class Native>
std::uint64_t Queue<Native>::recover() {
  const lockstep::LockGuard lock(mutex_);
  if (batch_ && failed_) discard(std::move(batch_));
  close_batch();
  idle_.wait(mutex_, [this]() LOCKSTEP_REQUIRES(mutex_) { return is_idle(); });
  native.health().check();
  native.state().failed = 0;
  failed_ = false;
  timeline.recover(newest_);
  return newest_;
}

}  // namespace gpu
