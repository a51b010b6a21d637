// Device memory: the ABI's buffers, of which small ones are suballocated from larger allocations; and memory that the
// host and shaders share.
#pragma once

#include <volk.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/vulkan/device/facts.h"

struct Slab;

namespace vulkan {

/// A location in device memory: as an address for shaders, and as a buffer and offset for Vulkan's commands.
struct Place {
  VkDeviceAddress address = 0;
  VkBuffer buffer = VK_NULL_HANDLE;
  std::uint64_t offset = 0;

  Place operator+(std::uint64_t bytes) const { return {address + bytes, buffer, offset + bytes}; }
};

/// One Vulkan memory allocation, with a VkBuffer over all of it.
struct Piece {
  VkDeviceMemory memory = VK_NULL_HANDLE;
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceAddress address = 0;
  std::byte* mapped = nullptr;  // null if it is not mapped
  std::uint64_t bytes = 0;

  Place at(std::uint64_t offset) const { return {address + offset, buffer, offset}; }
};

/// Allocates and frees pieces, and counts the bytes of device-local memory that they use.
class Pieces {
 public:
  Pieces(const lks_host_api& host, const Facts& facts, VkDevice device, const VolkDeviceTable& vk)
      : host_(host), facts_(facts), device_(device), vk_(vk) {}
  ~Pieces();
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  /// Throws Failure of LKS_OUT_OF_MEMORY; `site` names the fault point.
  Piece make(std::uint32_t memory_type, std::uint64_t bytes, bool mapped, const char* site);
  void free(const Piece& piece);
  /// From now on, free() keeps memory until this object is destroyed: a device after a timeout may still be using it.
  void keep_what_is_freed();
  /// Throws Failure if the host injects an allocation failure.
  void fault_point(const char* site) const;

  std::uint64_t used() const { return used_; }
  std::uint64_t total() const { return facts_.heap_bytes; }
  /// The total less what this program uses and, if the device reports it, what other programs use.
  std::uint64_t free_bytes() const;

 private:
  bool counts(std::uint32_t memory_type) const { return memory_type == facts_.device_memory_type; }

  const lks_host_api& host_;
  const Facts& facts_;
  const VkDevice device_;
  const VolkDeviceTable& vk_;
  std::atomic<std::uint64_t> used_{0};
  std::mutex mutex_;
  std::map<VkDeviceMemory, std::uint64_t> counted_;
  std::size_t count_ = 0;  // pieces that are not freed
  bool keeps_ = false;
  std::vector<Piece> kept_;

  void make_room();
  void destroy(const Piece& piece);
};

}  // namespace vulkan

/// A buffer of the ABI: a range of an allocation.
struct lks_buffer {
  VkDeviceAddress address;
  std::uint64_t bytes;
  vulkan::Piece piece;  // its own, or that of its slab
  Slab* slab;           // null: the piece is the buffer's own

  vulkan::Place at(std::uint64_t offset) const { return piece.at(address - piece.address + offset); }
};

namespace vulkan {

/// Allocates the ABI's buffers in device-local memory. Free-threaded.
class BufferPool {
 public:
  BufferPool(const Facts& facts, Pieces& pieces);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  lks_buffer* allocate(std::uint64_t bytes);
  void free(lks_buffer* buffer);

 private:
  lks_buffer* from_slab(std::uint64_t bytes);
  Slab* find_room(std::uint64_t bytes, std::uint64_t& start);

  const Facts& facts_;
  Pieces& pieces_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Slab>> slabs_;
};

/// The alignment of every buffer's address.
constexpr std::uint64_t buffer_alignment = 256;

}  // namespace vulkan
