// An open device.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "api/internal/mutex.h"
#include "backends/gpu/device_health.h"
#include "backends/gpu/disk_cache.h"
#include "backends/gpu/kernels/trial_results.h"
#include "backends/gpu/queue/time_limit.h"
#include "backends/vulkan/device/instance.h"
#include "backends/vulkan/device/pipelines.h"
#include "backends/vulkan/device/self_test.h"
#include "backends/vulkan/failure.h"
#include "backends/vulkan/memory/memory.h"

struct lks_driver {
  const lks_host_api& host;
  vulkan::Instance instance;
  std::atomic<bool> is_abandoned{false};  // one of its devices is, so the driver is never destroyed either

  explicit lks_driver(const lks_host_api& h) : host(h), instance(h) {}
};

namespace vulkan {

/// The VkDevice, destroyed after everything that was made from it.
struct DeviceHandle {
  VkDevice handle = VK_NULL_HANDLE;
  VolkDeviceTable vk{};

  explicit DeviceHandle(const DeviceProperties& properties);
  ~DeviceHandle();
  DeviceHandle(const DeviceHandle&) = delete;
  DeviceHandle& operator=(const DeviceHandle&) = delete;
};

}  // namespace vulkan

struct lks_device {
  lks_device(lks_driver& driver, const vulkan::DeviceProperties& properties);

  lks_driver& driver;
  const lks_host_api& host;
  const vulkan::DeviceProperties& properties;
  gpu::DeviceHealth health;

 private:
  vulkan::DeviceHandle owner_;

 public:
  const VkDevice handle;
  const VolkDeviceTable& vk;
  vulkan::DeviceAllocator allocator;
  vulkan::BufferPool buffers;
  vulkan::ChunkPool staging, params;
  gpu::DiskCache disk_cache;
  vulkan::Pipelines pipelines;
  vulkan::Arithmetic arithmetic;
  gpu::TrialResults trial_results;

  /// The modes that the device offers, less those for which its arithmetic failed the self-test.
  std::uint32_t math_modes() const;

  /// Submits a batch to the device. Throws Failure.
  void submit(const VkSubmitInfo& info, std::uint32_t kind = LKS_QUEUE_COMPUTE);
  /// Throws Failure of LKS_DEVICE_LOST if the device is lost, and of LKS_INTERNAL if the validation layer has reported
  /// a problem since the last call.
  void check_usable();

  /// Set at the end of the constructor, so the self-test has no limit.
  gpu::TimeLimit time_limit{"vulkan.timeout"};
  using Clock = std::chrono::steady_clock;
  /// Notes that a batch of a queue of this kind is done.
  void note_progress(std::uint32_t kind);
  /// When note_progress was last called for this kind. A batch may have waited for others until then.
  Clock::time_point last_progress(std::uint32_t kind);
  /// Called when a batch exceeds the time limit: marks the device as lost. It may still be running, so memory that is
  /// freed from now on is kept until the device closes.
  void mark_timed_out(const lks_diag& cause);
  /// Called if the device may still be running batches of this queue when that is destroyed: from then on neither the
  /// queue nor the device nor the driver is ever destroyed.
  void abandon(lks_queue& queue);
  bool is_abandoned() const { return abandoned_queues_ != nullptr; }

 private:
  struct SharedQueue {
    VkQueue handle = VK_NULL_HANDLE;
    lockstep::Mutex mutex;  // several lks_queues may share the handle
    std::atomic<Clock::rep> last_progress{0};
  };
  SharedQueue& shared_queue(std::uint32_t kind);
  SharedQueue compute_queue_, transfer_queue_;  // the second one's handle is null if the device has only one queue
  std::atomic<lks_queue*> abandoned_queues_{nullptr};  // a list, so that leak checkers see them as reachable
  lks_device* next_abandoned_ = nullptr;
};
