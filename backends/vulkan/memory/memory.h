// Device memory: the ABI's buffers, of which small ones are suballocated from larger allocations; and memory that the
// host and shaders share.
#pragma once

#include <volk.h>

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "api/internal/mutex.h"
#include "backends/gpu/memory/slab_pool.h"
#include "backends/gpu/memory/staging.h"
#include "backends/vulkan/device/properties.h"

namespace vulkan {

/// A location in device memory: as an address for shaders, and as a buffer and offset for Vulkan's commands.
struct DeviceLocation {
  VkDeviceAddress address = 0;
  VkBuffer buffer = VK_NULL_HANDLE;
  std::uint64_t offset = 0;

  DeviceLocation operator+(std::uint64_t bytes) const { return {address + bytes, buffer, offset + bytes}; }
};

/// One Vulkan memory allocation, with a VkBuffer over all of it.
struct Allocation {
  using Location = DeviceLocation;

  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceAddress address = 0;
  std::byte* mapped = nullptr;  // null if it is not mapped
  std::uint64_t bytes = 0;

  DeviceLocation at(std::uint64_t offset) const { return {address + offset, buffer, offset}; }
};

/// Makes and frees allocations, and counts the bytes of device-local memory that they use.
class DeviceAllocator {
 public:
  DeviceAllocator(const lks_host_api& host, const DeviceProperties& properties, VkDevice device,
                  const VolkDeviceTable& vk)
      : host_(host), properties_(properties), device_(device), vk_(vk) {}
  ~DeviceAllocator();
  DeviceAllocator(const DeviceAllocator&) = delete;
  DeviceAllocator& operator=(const DeviceAllocator&) = delete;

  /// Throws Failure of LKS_OUT_OF_MEMORY; `site` names the fault point.
  Allocation make(std::uint32_t memory_type, std::uint64_t bytes, bool mapped, const char* site);
  void free(const Allocation& allocation);
  /// The same functions, for the pools of backends/gpu.
  gpu::MemorySource<Allocation> source(std::uint32_t memory_type, bool mapped, const char* site);
  /// From now on, free() keeps memory until this object is destroyed: a device after a timeout may still be using it.
  void defer_frees();
  /// Throws Failure if the host injects an allocation failure.
  void fault_point(const char* site) const;

  std::uint64_t used() const { return used_; }
  std::uint64_t total() const { return properties_.heap_bytes; }
  /// The total less what this program uses and, if the device reports it, what other programs use.
  std::uint64_t free_bytes() const;

 private:
  bool counts(std::uint32_t memory_type) const { return memory_type == properties_.device_memory_type; }

  const lks_host_api& host_;
  const DeviceProperties& properties_;
  const VkDevice device_;
  const VolkDeviceTable& vk_;
  std::atomic<std::uint64_t> used_{0};
  lockstep::Mutex mutex_;
  std::map<VkDeviceMemory, std::uint64_t> counted_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t count_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // allocations that are not freed
  bool keeps_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  std::vector<Allocation> kept_ LOCKSTEP_GUARDED_BY(mutex_);

  void make_room();
  void destroy(const Allocation& allocation);
};

}  // namespace vulkan

/// A buffer of the ABI: a range of an allocation.
struct lks_buffer {
  VkDeviceAddress address;
  std::uint64_t bytes;
  vulkan::Allocation allocation;        // its own, or that of its slab
  gpu::Slab<vulkan::Allocation>* slab;  // null: the allocation is the buffer's own

  vulkan::DeviceLocation at(std::uint64_t offset) const { return allocation.at(address - allocation.address + offset); }
};

namespace vulkan {

/// Allocates the ABI's buffers in device-local memory. Free-threaded.
class BufferPool {
 public:
  BufferPool(const DeviceProperties& properties, DeviceAllocator& allocator);

  lks_buffer* allocate(std::uint64_t bytes);
  void free(lks_buffer* buffer);

 private:
  const DeviceProperties& properties_;
  DeviceAllocator& allocator_;
  gpu::SlabPool<Allocation> slabs_;
};

using Staged = gpu::Staged<Allocation>;
using Chunks = gpu::Chunks<Allocation>;
using ChunkPool = gpu::ChunkPool<Allocation>;
using ChunkSource = gpu::ChunkSource<Allocation>;
using Staging = gpu::Staging<Allocation>;

}  // namespace vulkan
