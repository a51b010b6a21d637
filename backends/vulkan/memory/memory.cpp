#include "backends/vulkan/memory/memory.h"

#include <algorithm>

#include "backends/vulkan/failure.h"

namespace vulkan {

std::uint64_t DeviceAllocator::free_bytes() const {
  std::uint64_t free = total() - std::min(total(), used());
  if (!properties_.has_memory_budget) return free;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget, {}};
  vkGetPhysicalDeviceMemoryProperties2(properties_.handle, &memory);
  const std::uint64_t allowed = budget.heapBudget[properties_.heap], taken = budget.heapUsage[properties_.heap];
  return std::min(free, allowed - std::min(allowed, taken));
}

void DeviceAllocator::fault_point(const char* site) const { GPU_FAULT_POINT(host_, LKS_FAULT_ALLOC, site); }

Allocation DeviceAllocator::make(std::uint32_t memory_type, std::uint64_t bytes, bool mapped, const char* site) {
  fault_point(site);
  if (mapped) GPU_FAULT_POINT(host_, LKS_FAULT_MAP, "vulkan.map");
  const bool counted = counts(memory_type);
  if (bytes > properties_.max_allocation) {
    lks_diag diag = empty_diag();
    common::fail(&diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE,
                 "%llu bytes are more than the device's largest allocation, %llu",
                 static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(properties_.max_allocation));
    diag.requested_bytes = bytes;
    diag.free_bytes = free_bytes();
    throw Failure(diag);
  }
  // Not every Vulkan driver refuses an allocation that is larger than the heap.
  if (counted && bytes > total() - std::min(total(), used())) {
    raise_out_of_memory(DRIVER_WHERE, bytes, free_bytes(), "device memory");
  }
  make_room();
  Allocation p;
  p.bytes = bytes;
  VkBufferCreateInfo buffer{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  buffer.size = bytes;
  buffer.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  // Both queue families may access it at any time: ownership transfers would cost more than concurrent sharing.
  const std::uint32_t families[] = {properties_.compute_family, properties_.transfer_family};
  if (properties_.has_copy_engine()) {
    buffer.sharingMode = VK_SHARING_MODE_CONCURRENT;
    buffer.queueFamilyIndexCount = 2;
    buffer.pQueueFamilyIndices = families;
  }
  VULKAN_CHECK(vk_.vkCreateBuffer(device_, &buffer, nullptr, &p.buffer));
  VkMemoryRequirements needs;
  vk_.vkGetBufferMemoryRequirements(device_, p.buffer, &needs);
  if (!(needs.memoryTypeBits >> memory_type & 1u)) {
    vk_.vkDestroyBuffer(device_, p.buffer, nullptr);
    raise(LKS_UNSUPPORTED, DRIVER_WHERE, "%s: the device takes no buffer in its memory of type %u", site, memory_type);
  }
  VkMemoryAllocateFlagsInfo flags{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO};
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo memory{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &flags, needs.size, memory_type};
  VkResult result = vk_.vkAllocateMemory(device_, &memory, nullptr, &p.memory);
  if (result == VK_SUCCESS) result = vk_.vkBindBufferMemory(device_, p.buffer, p.memory, 0);
  void* seen = nullptr;
  if (result == VK_SUCCESS && mapped) result = vk_.vkMapMemory(device_, p.memory, 0, VK_WHOLE_SIZE, 0, &seen);
  if (result != VK_SUCCESS) {
    vk_.vkDestroyBuffer(device_, p.buffer, nullptr);
    vk_.vkFreeMemory(device_, p.memory, nullptr);
    if (status_of(result) == LKS_OUT_OF_MEMORY) {
      raise_out_of_memory(DRIVER_WHERE, bytes, free_bytes(),
                          counted ? "device memory" : "memory that the device shares");
    }
    check(result, "vkAllocateMemory", DRIVER_WHERE);
  }
  p.mapped = static_cast<std::byte*>(seen);
  const VkBufferDeviceAddressInfo info{VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, nullptr, p.buffer};
  p.address = vk_.vkGetBufferDeviceAddress(device_, &info);
  const lockstep::LockGuard lock(mutex_);
  ++count_;
  if (counted) {
    used_ += bytes;
    counted_[p.memory] = bytes;
  }
  return p;
}

// Reserves room in kept_, so that free() does not allocate.
void DeviceAllocator::make_room() {
  const lockstep::LockGuard lock(mutex_);
  const std::size_t most = kept_.size() + count_ + 16;  // up to 16 threads may be in make() at once
  if (kept_.capacity() < most) kept_.reserve(2 * most);
}

void DeviceAllocator::free(const Allocation& allocation) {
  {
    const lockstep::LockGuard lock(mutex_);
    --count_;
    if (keeps_) return kept_.push_back(allocation);
    if (const auto it = counted_.find(allocation.memory); it != counted_.end()) {
      used_ -= it->second;
      counted_.erase(it);
    }
  }
  destroy(allocation);
}

void DeviceAllocator::defer_frees() {
  const lockstep::LockGuard lock(mutex_);
  keeps_ = true;
}

DeviceAllocator::~DeviceAllocator() {
  for (const Allocation& allocation : kept_) destroy(allocation);
}

void DeviceAllocator::destroy(const Allocation& allocation) {
  vk_.vkDestroyBuffer(device_, allocation.buffer, nullptr);
  vk_.vkFreeMemory(device_, allocation.memory, nullptr);
}

gpu::MemorySource<Allocation> DeviceAllocator::source(std::uint32_t memory_type, bool mapped, const char* site) {
  return {[=, this](std::uint64_t bytes) { return make(memory_type, bytes, mapped, site); },
          [this](const Allocation& allocation) { free(allocation); }};
}

BufferPool::BufferPool(const DeviceProperties& properties, DeviceAllocator& allocator)
    : properties_(properties),
      allocator_(allocator),
      slabs_(allocator.source(properties.device_memory_type, false, "vulkan.slab"), properties.heap_bytes) {}

lks_buffer* BufferPool::allocate(std::uint64_t bytes) {
  allocator_.fault_point("vulkan.buffer_alloc");
  auto buffer = std::make_unique<lks_buffer>();
  if (bytes <= gpu::max_from_slab) {
    const auto [slab, start] = slabs_.take(bytes);
    *buffer = {slab->allocation.address + start, bytes, slab->allocation, slab};
  } else {
    const Allocation own = allocator_.make(properties_.device_memory_type, bytes, false, "vulkan.memory");
    *buffer = {own.address, bytes, own, nullptr};
  }
  return buffer.release();
}

void BufferPool::free(lks_buffer* buffer) {
  const std::unique_ptr<lks_buffer> owner(buffer);
  gpu::Slab<Allocation>* const slab = buffer->slab;
  if (!slab) return allocator_.free(buffer->allocation);
  slabs_.give_back({slab, buffer->address - slab->allocation.address}, buffer->bytes);
}

}  // namespace vulkan
