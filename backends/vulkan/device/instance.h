// The Vulkan loader and the devices that it finds.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "api/internal/mutex.h"
#include "backends/common/option.h"
#include "backends/vulkan/device/properties.h"

namespace vulkan {

class Instance {
 public:
  /// Opens libvulkan and enumerates its devices. Throws Failure of LKS_UNAVAILABLE if there is no loader, no Vulkan
  /// driver, or no device. The option `vulkan.validation` enables the Khronos validation layer: each of its messages is
  /// logged, and fails the driver's next call.
  explicit Instance(const lks_host_api& host);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const std::vector<DeviceProperties>& devices() const { return devices_; }

  /// Returns and clears the first message of the validation layer that was not reported yet; empty if there is none.
  std::string take_validation_message();
  bool has_validation_message() const { return has_message_.load(std::memory_order_relaxed); }
  void note_validation_message(const char* text);

 private:
  void create(bool validate);
  void find_devices(const DeviceOptions& options);

  const lks_host_api& host_;
  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<DeviceProperties> devices_;
  lockstep::Mutex mutex_;
  std::string validation_message_ LOCKSTEP_GUARDED_BY(mutex_);
  std::atomic<bool> has_message_{false};
};

using common::option;

}  // namespace vulkan
