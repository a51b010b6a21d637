// What the Vulkan driver has compiled, kept on disk for the next process.
#pragma once

#include <volk.h>

#include <mutex>

#include "backends/vulkan/device/disk_cache.h"
#include "backends/vulkan/device/facts.h"

namespace vulkan {

/// Free-threaded. Stored when it is destroyed, and, as programs seldom close their devices, whenever a thread ends that
/// had something compiled: the main thread does when main returns or calls exit. What threads compiled that end later,
/// or never, is not stored then.
class PipelineCache {
 public:
  /// Empty where there is none on disk, or one that the Vulkan driver refuses.
  PipelineCache(const Facts& facts, const DiskCache& disk, VkDevice device, const VolkDeviceTable& vk);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;

  /// For vkCreateComputePipelines; VK_NULL_HANDLE where there can be no cache.
  VkPipelineCache handle() const { return handle_; }
  /// Something was compiled, on this thread.
  void note_compilation();
  /// Stores what is not on disk yet.
  void save();

 private:
  const Facts& facts_;
  const DiskCache& disk_;
  const VkDevice device_;
  const VolkDeviceTable& vk_;
  VkPipelineCache handle_ = VK_NULL_HANDLE;
  std::mutex mutex_;
  std::size_t stored_bytes_ = 0;  // of what is on disk
  bool is_refused_ = false;       // that, by the Vulkan driver
};

}  // namespace vulkan
