// The pipelines that the Vulkan driver has compiled, kept on disk for the next process.
#pragma once

#include <volk.h>

#include "api/internal/mutex.h"
#include "backends/gpu/disk_cache.h"
#include "backends/vulkan/device/properties.h"

namespace vulkan {

/// Free-threaded. It is saved when it is destroyed. As programs seldom close their devices, it is also saved whenever a
/// thread ends that has compiled something; the main thread ends when main returns or calls exit. Pipelines of threads
/// that end later, or never, are not saved then.
class PipelineCache {
 public:
  /// Loads the cache from disk. Starts empty if there is none, or if the Vulkan driver refuses it.
  PipelineCache(const DeviceProperties& properties, const gpu::DiskCache& disk, VkDevice device,
                const VolkDeviceTable& vk);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;

  /// For vkCreateComputePipelines; VK_NULL_HANDLE if the Vulkan driver could not create a cache.
  VkPipelineCache handle() const { return handle_; }
  /// Called when this thread has compiled something: saves the cache when the thread ends.
  void note_compilation();
  /// Stores what is not on disk yet.
  void save();

 private:
  const DeviceProperties& properties_;
  const gpu::DiskCache& disk_;
  const VkDevice device_;
  const VolkDeviceTable& vk_;
  VkPipelineCache handle_ = VK_NULL_HANDLE;
  lockstep::Mutex mutex_;
  std::size_t stored_bytes_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // on disk, as far as this object knows
  bool is_refused_ LOCKSTEP_GUARDED_BY(mutex_) = false;       // the Vulkan driver refused what was on disk
};

}  // namespace vulkan
