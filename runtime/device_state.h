// An open device: its memory, queues and kernels.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "lockstep/driver.h"
#include "runtime/command_queue.h"
#include "runtime/forked.h"
#include "runtime/kernel_cache.h"
#include "runtime/memory/allocator.h"
#include "runtime/thread_state.h"

namespace lockstep {

class DeviceEntry;

/// Counts how ops were executed on a device.
struct DispatchCounters {
  std::atomic<std::uint64_t> decompositions{0};  // calls that were decomposed because there was no kernel
  std::atomic<std::uint64_t> layout_copies{0};   // operands that were copied because no kernel accepted their strides
};

/// Counts bytes on their way from the host to a device.
struct UploadCounters {
  std::atomic<std::uint64_t> staged{0};   // copied into host memory of the runtime, for a queue to read later
  std::atomic<std::uint64_t> written{0};  // given to the device's queue, which copies them
  std::atomic<std::uint64_t> mapped{0};   // written straight into the device's memory by whoever produced them
};

/// The queue of a stream. It stays when the stream is gone, because tensors refer to the queue that has written them,
/// and serves another stream once nothing is in flight.
struct StreamQueue {
  StreamQueue(DeviceState& device, std::uint32_t of_kind) : kind(of_kind), queue(device, of_kind) {}

  const std::uint32_t kind;  // LKS_QUEUE_*
  CommandQueue queue;
  std::atomic<bool> leased{true};
  StreamQueue* next = nullptr;
};

class DeviceState {
 public:
  /// Opens the device; throws DeviceError LS3003.
  explicit DeviceState(const DeviceEntry& entry);
  ~DeviceState();
  DeviceState(const DeviceState&) = delete;
  DeviceState& operator=(const DeviceState&) = delete;

  const lks_driver_api& api() const { return api_; }
  lks_device* handle() const { return handle_; }
  const lks_device_info& info() const { return info_; }
  const std::string& name() const;
  const std::string& driver_name() const;
  Device device() const;
  bool offers(MathMode mode) const {
    return mode <= MathMode::lockstep && (info().math_modes & (1u << static_cast<unsigned>(mode)));
  }
  bool host_visible() const;
  /// The driver's functions for memory of others; nullptr if it has none.
  /// nullptr if the driver has none.
  const lks_import_export_group* import_group() const { return import_group_.buffer_import ? &import_group_ : nullptr; }
  /// The driver's limit for the bytes of one tensor.
  std::uint64_t max_tensor_bytes() const { return max_tensor_bytes_; }

  Allocator& allocator() { return *allocator_; }
  /// The queue of this thread's calls: that of its StreamScope, or the device's own.
  CommandQueue& queue() { return thread_state().stream ? scoped_queue() : *queue_; }
  /// The device's own queue, that of its default stream.
  CommandQueue& own_queue() { return *queue_; }
  /// `queue` as Block::home notes it.
  CommandQueue* home_of(CommandQueue& queue) const { return &queue == queue_.get() ? nullptr : &queue; }
  /// Whether the device ever had another queue than its own.
  bool has_streams() const { return streams_.load(std::memory_order_acquire) != nullptr; }
  /// A queue of this kind with nothing in flight, which no other stream uses until `leased` is false again. Throws
  /// DeviceError LS3007.
  StreamQueue& lease_queue(std::uint32_t kind, CallSite where);
  /// Guards Block::uses, and keeps the two parts of a block's last write together.
  Mutex& uses_mutex() { return uses_mutex_; }
  KernelCache& kernels() { return *kernels_; }
  DispatchCounters counters;
  UploadCounters uploads;

  /// Waits for all queues. Throws the oldest failure of a queue that was not reported yet: of the device's own queue if
  /// it has one.
  void synchronize();
  /// Waits for this thread's stream only. Throws its oldest failure that was not reported yet. Failures of other
  /// streams are left for the threads that use those.
  void synchronize_stream();
  void wait_idle() noexcept {
    if (queue_) queue_->wait_idle();
    for_each_stream([](CommandQueue& queue) { queue.wait_idle(); });
  }
  /// Of all queues: see CommandQueue::wait_for_device.
  [[nodiscard]] bool wait_for_device() noexcept {
    bool idle = !queue_ || queue_->wait_for_device();
    for_each_stream([&idle](CommandQueue& queue) { idle = queue.wait_for_device() && idle; });
    return idle;
  }
  /// Asks the driver how far all queues are.
  void refresh_done() {
    queue_->refresh_done();
    for_each_stream([](CommandQueue& queue) { queue.refresh_done(); });
  }
  void log_unreported() {
    queue_->log_unreported();
    for_each_stream([](CommandQueue& queue) { queue.log_unreported(); });
  }
  /// Enqueues the pattern on the block's home.
  void poison(Block& block);
  /// Changes with every failed command, never 0. A poison fill is sure to be done in its turn only if the count is what
  /// it was before the fill: a queue skips the commands behind a failed one.
  std::uint64_t poison_count() const { return failed_commands_.load(std::memory_order_acquire) + 1; }
  /// Called before a queue is recovered.
  void count_failed_command() { failed_commands_.fetch_add(1, std::memory_order_release); }

  std::uint64_t memory_total() const;
  std::optional<std::uint64_t> memory_free() const;

 private:
  const StreamScope* stream_scope() const;
  CommandQueue& scoped_queue();
  template <class Visit>
  void for_each_stream(Visit&& visit) {
    for (StreamQueue* s = streams_.load(std::memory_order_acquire); s; s = s->next) visit(s->queue);
  }
  void destroy_queues();

  const OpenDevice counted_;
  const DeviceEntry& entry_;
  const lks_driver_api& api_;
  const lks_device_info& info_;  // the entry's
  lks_device* handle_ = nullptr;
  lks_import_export_group import_group_;
  std::uint64_t max_tensor_bytes_;
  std::unique_ptr<Allocator> allocator_;
  std::unique_ptr<CommandQueue> queue_;
  std::atomic<std::uint64_t> failed_commands_{0};
  Mutex uses_mutex_, creation_mutex_;
  std::atomic<StreamQueue*> streams_{nullptr};  // a list that only grows, until the device closes
  std::unique_ptr<KernelCache> kernels_;
};

}  // namespace lockstep
