// An open device.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backends/vulkan/device/disk_cache.h"
#include "backends/vulkan/device/instance.h"
#include "backends/vulkan/device/pipelines.h"
#include "backends/vulkan/device/self_test.h"
#include "backends/vulkan/device/trials.h"
#include "backends/vulkan/failure.h"
#include "backends/vulkan/memory/staging.h"

struct lks_driver {
  const lks_host_api& host;
  vulkan::Instance instance;
  bool is_abandoned = false;  // a device of it is: it is left to the system too

  explicit lks_driver(const lks_host_api& h) : host(h), instance(h) {}
};

namespace vulkan {

/// The VkDevice, destroyed after everything that was made from it.
struct DeviceHandle {
  VkDevice handle = VK_NULL_HANDLE;
  VolkDeviceTable vk{};

  explicit DeviceHandle(const Facts& facts);
  ~DeviceHandle();
  DeviceHandle(const DeviceHandle&) = delete;
  DeviceHandle& operator=(const DeviceHandle&) = delete;
};

}  // namespace vulkan

struct lks_device {
  lks_device(lks_driver& driver, const vulkan::Facts& facts);

  lks_driver& driver;
  const lks_host_api& host;
  const vulkan::Facts& facts;

 private:
  vulkan::DeviceHandle owner_;

 public:
  const VkDevice handle;
  const VolkDeviceTable& vk;
  vulkan::Pieces pieces;
  vulkan::BufferPool buffers;
  vulkan::ChunkPool staging, params;
  vulkan::DiskCache disk_cache;
  vulkan::Pipelines pipelines;
  vulkan::Arithmetic arithmetic;
  vulkan::Trials trials;

  /// What the device offers, less what its arithmetic turned out not to be good for.
  std::uint32_t math_modes() const;

  /// Hands a batch to the device. Throws Failure.
  void submit(const VkSubmitInfo& info, std::uint32_t kind = LKS_QUEUE_COMPUTE);
  /// Throws Failure of LKS_DEVICE_LOST where the device is lost, and of LKS_INTERNAL where the validation layer has
  /// complained since the last call.
  void check_usable();
  void note_lost(const lks_diag& cause);
  bool is_lost() const { return is_lost_; }
  /// LKS_OK, or LKS_DEVICE_LOST.
  lks_status health(lks_diag* diag);

  /// For how long the device may work on a batch before it is given up for lost: the option `vulkan.timeout`, or for
  /// ever. From the end of the constructor on.
  std::uint64_t patience_ns = ~std::uint64_t{0};
  using Clock = std::chrono::steady_clock;
  /// A batch of a queue of this kind is done.
  void note_progress(std::uint32_t kind);
  /// When that was for the last time: others may have kept a batch waiting until then.
  Clock::time_point last_progress(std::uint32_t kind);
  /// The device has taken longer than that, and may still be at work: memory is kept until the device closes.
  void give_up(const lks_diag& cause);
  /// It still is, on batches of this queue: neither may ever be destroyed.
  void abandon(lks_queue& queue);
  bool is_abandoned() const { return abandoned_queues_ != nullptr; }

 private:
  struct NativeQueue {
    VkQueue handle = VK_NULL_HANDLE;
    std::mutex mutex;  // several of ours may share it
    std::atomic<Clock::rep> last_progress{0};
  };
  NativeQueue& native_queue(std::uint32_t kind);
  NativeQueue compute_queue_, transfer_queue_;  // the second one may not be there
  std::mutex lost_mutex_;
  std::atomic<bool> is_lost_{false};
  lks_queue* abandoned_queues_ = nullptr;  // a list: tools that look for leaks shall find them
  lks_device* next_abandoned_ = nullptr;
  lks_diag lost_{};
};
