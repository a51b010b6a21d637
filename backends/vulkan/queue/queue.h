// A queue: commands are recorded as they come, handed to the device in batches, and seen to their end by a thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>

#include "backends/host/timeline.h"
#include "backends/vulkan/queue/batch.h"
#include "backends/vulkan/queue/kept_thread.h"
#include "backends/vulkan/queue/state.h"

struct lks_queue {
  explicit lks_queue(lks_device& device, std::uint32_t kind = LKS_QUEUE_COMPUTE);
  /// After close(), unless it said no.
  ~lks_queue();
  /// Waits until nothing is in flight. False where a device that was given up is still at work: the queue must stay.
  bool close();
  lks_queue* next_abandoned = nullptr;  // a list of lks_device's
  lks_queue(const lks_queue&) = delete;
  lks_queue& operator=(const lks_queue&) = delete;

  lks_device& device;
  lks_timeline timeline;
  bool runs_kernels() const { return kind_ == LKS_QUEUE_COMPUTE; }

  /// Enqueues what `work_out` plans, which is called without a lock, and returns the command's value. Throws Failure,
  /// and then nothing is enqueued.
  std::uint64_t enqueue(const std::function<void(vulkan::Command&)>& work_out);
  /// Later commands wait for another timeline.
  void wait_for(lks_timeline& other, std::uint64_t value);
  /// Hands over what is recorded.
  void flush();
  /// Returns the newest value given out; later commands run again.
  std::uint64_t recover();

 private:
  // What the thread sees to, in order: a batch that the device has or will have, a failure to report, or a value to
  // report as reached when everything before it is.
  struct Flight {
    std::unique_ptr<vulkan::Batch> batch;
    std::optional<lks_diag> failure;
    std::uint64_t first = 0, last = 0;
    std::uint64_t serial = 0;               // what the semaphore says when the batch is done
    bool a_command_failed = false;          // of this batch, or of a later one
    lks_device::Clock::time_point since{};  // when it was looked at first
  };
  // What is to be handed over, in order: a batch, or a timeline to wait for.
  struct Held {
    std::unique_ptr<vulkan::Batch> batch;
    lks_timeline* timeline = nullptr;
    std::uint64_t wanted = 0;
    std::uint64_t value = 0;  // of the wait itself
  };
  using Lock = std::unique_lock<std::mutex>;

  vulkan::Batch& open_batch();
  bool is_idle() const { return flights_.empty() && held_.empty() && !is_handing_over_; }
  void close_batch(Lock& lock);
  void hand_over(Lock& lock);
  void submit(Lock& lock, std::unique_ptr<vulkan::Batch> batch);
  void discard(std::unique_ptr<vulkan::Batch> batch);
  void start_thread();
  void run();
  void release_held(Lock& lock);
  void land(Lock& lock);
  lks_status await(Lock& lock, std::uint64_t serial, std::uint64_t patience, lks_diag& diag);
  lks_status await_within_limit(Lock& lock, Flight& flight, std::uint64_t serial, std::uint64_t patience,
                                lks_diag& diag);
  bool is_still_at_work();
  void finish(Flight& flight, lks_status status, lks_diag& diag);
  void report(const Flight& flight);
  void fail(const lks_diag& diag, std::uint64_t value);

  vulkan::Piece state_piece_;
  vulkan::State* state_ = nullptr;
  const std::uint32_t kind_;
  vulkan::ChunkSource params_, staging_;
  std::optional<vulkan::Command> command_;  // of the caller: calls on one queue come one after the other
  VkSemaphore done_ = VK_NULL_HANDLE;
  std::uint64_t serial_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::uint64_t newest_ = 0;
  bool failed_ = false;  // commands are skipped until recover
  bool stop_ = false;
  bool is_handing_over_ = false;  // one thread at a time does, without the lock
  unsigned batch_limit_;
  std::unique_ptr<vulkan::Batch> batch_;                       // being recorded
  std::vector<std::unique_ptr<vulkan::Batch>> spare_, stuck_;  // stuck: a device that was given up may still have them
  std::deque<Held> held_;
  std::deque<Flight> flights_;
  vulkan::KeptThread thread_;
};

namespace vulkan {

/// Destroys a queue, or leaves it to its device where that was given up and is still at work.
void dispose_of(lks_queue* queue);

/// Runs one command on a queue of its own and waits for it. Throws Failure.
void run_alone(lks_device& device, const std::function<void(Command&)>& work_out);

}  // namespace vulkan
