// The device's side of a queue: what gpu::Queue needs (backends/gpu/queue/queue.h).
#pragma once

#include <memory>
#include <optional>

#include "backends/gpu/queue/state.h"
#include "backends/vulkan/queue/batch.h"

namespace vulkan {

class NativeQueue {
 public:
  using Command = vulkan::Command;
  using Batch = vulkan::Batch;

  NativeQueue(lks_device& device, std::uint32_t kind);
  ~NativeQueue();
  NativeQueue(const NativeQueue&) = delete;
  NativeQueue& operator=(const NativeQueue&) = delete;

  lks_device& device;
  bool runs_kernels() const { return kind_ == LKS_QUEUE_COMPUTE; }

  Command& command() { return *command_; }
  std::unique_ptr<Batch> new_batch() { return std::make_unique<Batch>(device, !runs_kernels()); }
  void check_usable() { device.check_usable(); }
  void check_recording();
  void submit(Batch& batch, std::uint64_t serial);
  bool wait(std::uint64_t serial, std::uint64_t timeout_ns);
  bool is_still_running(std::uint64_t serial);
  gpu::State& state() { return *state_; }
  gpu::DeviceHealth& health() { return device.health; }
  const gpu::TimeLimit& time_limit() const { return device.time_limit; }
  void note_progress() { device.note_progress(kind_); }
  lks_device::Clock::time_point last_progress() { return device.last_progress(kind_); }
  void mark_timed_out(const lks_diag& cause) { device.mark_timed_out(cause); }
  static void flush(lks_queue& queue);

 private:
  // Returns VK_TIMEOUT, or the result of the wait.
  VkResult wait_for_semaphore(std::uint64_t serial, std::uint64_t timeout_ns);

  const std::uint32_t kind_;
  Allocation state_allocation_;
  gpu::State* state_ = nullptr;
  ChunkSource params_, staging_;
  std::optional<Command> command_;  // used by the caller's thread; calls on one queue are serialised
  VkSemaphore done_ = VK_NULL_HANDLE;
};

}  // namespace vulkan
