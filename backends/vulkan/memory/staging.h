// Memory that the host writes or reads and shaders reach: what goes to and from the device, and the parameters of
// launches. Taken in chunks, which return when the commands that use them are done.
#pragma once

#include <mutex>
#include <vector>

#include "backends/vulkan/memory/memory.h"

namespace vulkan {

struct Chunk {
  Piece piece;
  std::uint64_t used = 0;
};

/// A place in a chunk.
struct Staged {
  std::byte* data = nullptr;
  VkDeviceAddress address = 0;
};

/// Keeps free chunks. Free-threaded.
class ChunkPool {
 public:
  ChunkPool(Pieces& pieces, std::uint32_t memory_type, const char* site)
      : pieces_(pieces), memory_type_(memory_type), site_(site) {}
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  Chunk take(std::uint64_t bytes);
  void give_back(Chunk chunk);

 private:
  Pieces& pieces_;
  const std::uint32_t memory_type_;
  const char* const site_;
  std::mutex mutex_;
  std::vector<Chunk> free_;
};

/// What one batch of commands took from a pool.
class Staging {
 public:
  explicit Staging(ChunkPool& pool) : pool_(pool) {}
  ~Staging() { release(); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Throws Failure of LKS_OUT_OF_MEMORY.
  Staged take(std::uint64_t bytes);
  /// The device is done with all of it.
  void release();

 private:
  Chunk& room_for(std::uint64_t bytes);

  ChunkPool& pool_;
  std::vector<Chunk> chunks_;  // the last one is being filled
};

}  // namespace vulkan
