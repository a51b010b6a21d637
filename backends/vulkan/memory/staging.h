// Memory that both the host and shaders can access: staging memory for transfers, and the parameters of launches. It is
// allocated in chunks, which return to their pool when the commands that use them are done.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/vulkan/memory/memory.h"

namespace vulkan {

struct Chunk {
  Allocation allocation;
  std::uint64_t used = 0;
};

/// A range of a chunk, as the host and as the device see it.
struct Staged {
  std::byte* data = nullptr;
  DeviceLocation location;
};

/// A pool that keeps free chunks for reuse. Free-threaded.
class ChunkPool {
 public:
  ChunkPool(DeviceAllocator& allocator, std::uint32_t memory_type, const char* site)
      : allocator_(allocator), memory_type_(memory_type), site_(site) {}
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  /// A chunk of at least `bytes`. It returns to the pool when its last reference is dropped.
  std::shared_ptr<Chunk> take(std::uint64_t bytes);

 private:
  void give_back(Chunk chunk);

  DeviceAllocator& allocator_;
  const std::uint32_t memory_type_;
  const char* const site_;
  std::mutex mutex_;
  std::vector<Chunk> free_;
  std::atomic<bool> has_spare_{false};
};

/// The chunk that a queue is filling. Successive batches share it, because most of them need little of one.
class ChunkSource {
 public:
  explicit ChunkSource(ChunkPool& pool) : pool_(pool) {}

  /// A chunk with room for `bytes`. Throws Failure of LKS_OUT_OF_MEMORY.
  std::shared_ptr<Chunk> room_for(std::uint64_t bytes);

 private:
  ChunkPool& pool_;
  std::shared_ptr<Chunk> open_;
};

using Chunks = std::vector<std::shared_ptr<Chunk>>;

/// The memory that one command takes from a source.
class Staging {
 public:
  explicit Staging(ChunkSource& source) : source_(source) {}

  /// Throws Failure of LKS_OUT_OF_MEMORY.
  Staged take(std::uint64_t bytes);
  std::uint64_t bytes() const { return bytes_; }
  std::size_t chunk_count() const { return chunks_.size(); }
  /// Moves the chunks to `keeper`, which holds them until the device is done.
  void move_to(Chunks& keeper);
  void release();

 private:
  ChunkSource& source_;
  Chunks chunks_;
  std::uint64_t bytes_ = 0;
};

}  // namespace vulkan
