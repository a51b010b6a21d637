// The Vulkan loader and the devices that it knows.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/vulkan/device/facts.h"

namespace vulkan {

class Instance {
 public:
  /// Opens libvulkan and asks it for devices. Throws Failure of LKS_UNAVAILABLE where there is no loader, no Vulkan
  /// driver, or no device. The option `vulkan.validation` switches the Khronos validation layer on: each of its
  /// messages is logged, and fails the driver's next call.
  explicit Instance(const lks_host_api& host);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const std::vector<Facts>& devices() const { return devices_; }

  /// The first message of the validation layer that nobody was told yet; empty where there is none.
  std::string take_complaint();
  bool has_complaint() const { return complained_.load(std::memory_order_relaxed); }
  void complain(const char* text);

 private:
  void create(bool validate);
  void find_devices(const Wishes& wishes);

  const lks_host_api& host_;
  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<Facts> devices_;
  std::mutex mutex_;
  std::string complaint_;
  std::atomic<bool> complained_{false};
};

/// The text of an option; empty where it is not set.
std::string option(const lks_host_api& host, const char* key);

}  // namespace vulkan
