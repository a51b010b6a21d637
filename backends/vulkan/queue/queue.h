// A queue: the caller's thread records commands and submits them to the device in batches; a thread of the queue waits
// for the batches, reports their results, and submits batches that had to wait for another timeline.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>

#include "backends/common/timeline.h"
#include "backends/gpu/queue/pooled_thread.h"
#include "backends/gpu/queue/state.h"
#include "backends/vulkan/queue/batch.h"

struct lks_queue {
  explicit lks_queue(lks_device& device, std::uint32_t kind = LKS_QUEUE_COMPUTE);
  /// Calls close() if nobody has. Must not be called after close() returned false.
  ~lks_queue();
  /// Waits until nothing is in flight. Returns false if the device exceeded `vulkan.timeout` and may still be running
  /// batches: the queue must not be destroyed then.
  bool close();
  lks_queue* next_abandoned = nullptr;  // in lks_device's list of abandoned queues
  lks_queue(const lks_queue&) = delete;
  lks_queue& operator=(const lks_queue&) = delete;

  lks_device& device;
  lks_timeline timeline;
  bool runs_kernels() const { return kind_ == LKS_QUEUE_COMPUTE; }

  /// Calls `plan_command`, without a lock, to plan a command; enqueues it and returns its timeline value. Throws
  /// Failure, and then nothing is enqueued.
  std::uint64_t enqueue(const std::function<void(vulkan::Command&)>& plan_command);
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
    std::unique_ptr<vulkan::Batch> batch;
    std::optional<lks_diag> failure;
    std::uint64_t first = 0, last = 0;
    std::uint64_t serial = 0;               // the semaphore's value when the batch is done
    bool a_command_failed = false;          // of this batch, or of a later one
    lks_device::Clock::time_point since{};  // when the thread first waited for it
  };
  // What is not submitted yet, in order: a batch, or a wait for another timeline, which holds back the batches after
  // it.
  struct PendingSubmit {
    std::unique_ptr<vulkan::Batch> batch;
    lks_timeline* timeline = nullptr;
    std::uint64_t wanted = 0;
    std::uint64_t value = 0;  // of the wait, on the queue's own timeline
  };
  using Lock = std::unique_lock<std::mutex>;

  vulkan::Batch& open_batch();
  bool is_idle() const { return in_flight_.empty() && pending_submits_.empty() && !is_submitting_; }
  void close_batch(Lock& lock);
  void submit_to_device(Lock& lock);
  void submit(Lock& lock, std::unique_ptr<vulkan::Batch> batch);
  void discard(std::unique_ptr<vulkan::Batch> batch);
  void start_thread();
  void run();
  void submit_pending(Lock& lock);
  void retire_oldest(Lock& lock);
  lks_status wait_for_serial(Lock& lock, std::uint64_t serial, std::uint64_t time_limit, lks_diag& diag);
  lks_status await_within_limit(Lock& lock, InFlight& in_flight, std::uint64_t serial, std::uint64_t time_limit,
                                lks_diag& diag);
  bool may_still_be_running();
  void finish(InFlight& in_flight, lks_status status, lks_diag& diag);
  void report(const InFlight& in_flight);
  void fail(const lks_diag& diag, std::uint64_t value);

  vulkan::Allocation state_allocation_;
  gpu::State* state_ = nullptr;
  const std::uint32_t kind_;
  vulkan::ChunkSource params_, staging_;
  std::optional<vulkan::Command> command_;  // used by the caller's thread; calls on one queue are serialised
  VkSemaphore done_ = VK_NULL_HANDLE;
  std::uint64_t serial_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::uint64_t newest_ = 0;
  bool failed_ = false;  // commands are skipped until recover()
  bool stop_ = false;
  bool is_submitting_ = false;  // a thread is submitting, without the lock; only one does at a time
  unsigned batch_limit_;
  std::unique_ptr<vulkan::Batch> batch_;                       // being recorded
  std::vector<std::unique_ptr<vulkan::Batch>> spare_, stuck_;  // stuck: a lost device may still be running them
  std::deque<PendingSubmit> pending_submits_;
  std::deque<InFlight> in_flight_;
  gpu::PooledThread thread_;
};

namespace vulkan {

/// Destroys a queue; or, if close() returns false, leaves it in its device's list of abandoned queues.
void destroy_or_abandon(lks_queue* queue);

/// Runs one command on a queue of its own and waits for it. Throws Failure.
void run_and_wait(lks_device& device, const std::function<void(Command&)>& plan_command);

}  // namespace vulkan
