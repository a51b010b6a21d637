// A queue of a device: the caller's thread records commands and submits them in batches; a thread of the queue waits
// for the batches, reports their results, and submits batches that had to wait for another timeline.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "api/internal/mutex.h"
#include "backends/common/timeline.h"
#include "backends/gpu/device_health.h"
#include "backends/gpu/queue/batch.h"
#include "backends/gpu/queue/pooled_thread.h"
#include "backends/gpu/queue/state.h"
#include "backends/gpu/queue/time_limit.h"

namespace gpu {

/// The ABI's lks_queue derives from this, in each driver. `Native` is what a driver supplies: the device's side of the
/// queue. It has the members
///   Command                          derives from CommandMemory; begin(value) starts a command with that value
///   Batch                            derives from BatchContents, with
///     begin()                          opens it; throws Failure
///     make_room(command)               reserves memory, so that record() cannot fail
///     record(command, value)           records a command and takes over its memory
///     reset()                          called when the device is done with it: releases everything
///   Command& command()               the queue's own, reused
///   std::unique_ptr<Batch> new_batch()
///   void check_usable()              throws Failure if the device is lost, or cannot be used for another reason
///   void check_recording()           throws Failure if the host injects a failure of recording
///   void submit(batch, serial)       throws Failure, and then nothing was submitted. Not called by two threads at once
///   bool wait(serial, timeout_ns)    whether batch `serial` and all before it are done in time. Throws Failure: of
///                                    LKS_DEVICE_LOST, or because the wait itself failed
///   bool is_still_running(serial)    whether a lost device may still be working on batches up to `serial`
///   State& state()
///   DeviceHealth& health()
///   const TimeLimit& time_limit()
///   void note_progress()             a batch is done
///   TimePoint last_progress()        when a queue that shares the hardware with this one last called note_progress()
///   void mark_timed_out(diag)        called when a batch exceeds the time limit: the device is lost, may still be
///                                    running, and memory that it may use must not be freed
///   static void flush(lks_queue&)    calls flush()
/// The definitions of the functions are in queue_body.h, which a driver includes once.
template <class Native>
class Queue {
 public:
  using Command = typename Native::Command;
  using Batch = typename Native::Batch;
  using Clock = std::chrono::steady_clock;

  template <class... Args>
  explicit Queue(Args&&... args) : native(std::forward<Args>(args)...) {}
  /// Calls close() if nobody has. Must not be called after close() returned false.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  /// Waits until nothing is in flight. Returns false if the device exceeded its time limit and may still be running
  /// batches: the queue must not be destroyed then.
  bool close();

  Native native;
  lks_timeline timeline;

  /// Calls `plan_command`, without a lock, to plan a command; enqueues it and returns its timeline value. Throws
  /// Failure, and then nothing is enqueued.
  std::uint64_t enqueue(const std::function<void(Command&)>& plan_command);
  /// Makes later commands wait until another timeline has reached `value`.
  void wait_for(lks_timeline& other, std::uint64_t value);
  /// Submits what is recorded.
  void flush();
  /// Clears a failure, so that later commands run again. Returns the value of the last command. Throws Failure if the
  /// device is lost.
  std::uint64_t recover();

 private:
  // What the queue's thread processes, in order: a submitted batch to wait for, a failure to report, or a value to
  // report as reached once everything before it is done.
  struct InFlight {
    std::unique_ptr<Batch> batch;
    std::optional<lks_diag> failure;
    std::uint64_t first = 0, last = 0;
    std::uint64_t serial = 0;       // what Native::wait gets
    bool a_command_failed = false;  // of this batch, or of a later one
    Clock::time_point since{};      // when the thread first waited for it
  };
  // What is not submitted yet, in order: a batch, or a wait for another timeline, which holds back the batches after
  // it.
  struct PendingSubmit {
    std::unique_ptr<Batch> batch;
    lks_timeline* timeline = nullptr;
    std::uint64_t wanted = 0;
    std::uint64_t value = 0;  // of the wait, on the queue's own timeline
  };

  // A batch is submitted when it has this many commands: few at first, so that the device starts early, then more.
  static constexpr unsigned min_commands = 64, max_commands = 512;
  static constexpr std::uint64_t max_staged_bytes = std::uint64_t{32} << 20;
  static constexpr std::uint64_t poll_ns = 500'000;  // how long to wait for one of two events before polling the other

  Batch& open_batch() LOCKSTEP_REQUIRES(mutex_);
  bool is_idle() const LOCKSTEP_REQUIRES(mutex_) {
    return in_flight_.empty() && pending_submits_.empty() && !is_submitting_;
  }
  void discard(std::unique_ptr<Batch> batch) LOCKSTEP_REQUIRES(mutex_);
  void start_thread() LOCKSTEP_REQUIRES(mutex_);
  void run() LOCKSTEP_EXCLUDES(mutex_);
  // These release the lock for a while.
  void close_batch() LOCKSTEP_REQUIRES(mutex_);
  void submit_to_device() LOCKSTEP_REQUIRES(mutex_);
  void submit(std::unique_ptr<Batch> batch) LOCKSTEP_REQUIRES(mutex_);
  void submit_pending() LOCKSTEP_REQUIRES(mutex_);
  void retire_oldest() LOCKSTEP_REQUIRES(mutex_);
  lks_status wait_for_serial(std::uint64_t serial, std::uint64_t time_limit, lks_diag& diag) LOCKSTEP_REQUIRES(mutex_);
  lks_status await_within_limit(InFlight& in_flight, std::uint64_t serial, std::uint64_t time_limit, lks_diag& diag)
      LOCKSTEP_REQUIRES(mutex_);
  void finish(InFlight& in_flight, lks_status status, lks_diag& diag) LOCKSTEP_REQUIRES(mutex_);
  void report(const InFlight& in_flight) LOCKSTEP_REQUIRES(mutex_);
  void fail(const lks_diag& diag, std::uint64_t value);

  std::uint64_t newest_ = 0;  // value of the newest command; of those who record, one thread at a time; needs no lock

  lockstep::Mutex mutex_;
  lockstep::ConditionVariable wake_, idle_;
  std::uint64_t serial_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // of the latest batch that was submitted
  bool failed_ LOCKSTEP_GUARDED_BY(mutex_) = false;       // commands are skipped until recover()
  bool stop_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  // A thread is submitting, without the lock; only one does at a time.
  bool is_submitting_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  unsigned batch_limit_ LOCKSTEP_GUARDED_BY(mutex_) = min_commands;
  std::unique_ptr<Batch> batch_ LOCKSTEP_GUARDED_BY(mutex_);  // being recorded
  std::vector<std::unique_ptr<Batch>> spare_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Batch>> stuck_ LOCKSTEP_GUARDED_BY(mutex_);  // a lost device may still be running them
  std::deque<PendingSubmit> pending_submits_ LOCKSTEP_GUARDED_BY(mutex_);
  std::deque<InFlight> in_flight_ LOCKSTEP_GUARDED_BY(mutex_);
  PooledThread thread_;
};

}  // namespace gpu
