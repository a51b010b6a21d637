// Memory that the host writes or reads and shaders reach: what goes to and from the device, and the parameters of
// launches. Taken in chunks, which return when the commands that use them are done.
#pragma once

#include <atomic>
#include <memory>
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
  Place place;
};

/// Keeps free chunks. Free-threaded.
class ChunkPool {
 public:
  ChunkPool(Pieces& pieces, std::uint32_t memory_type, const char* site)
      : pieces_(pieces), memory_type_(memory_type), site_(site) {}
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  /// Returns by itself once nobody holds it any more.
  std::shared_ptr<Chunk> take(std::uint64_t bytes);

 private:
  void give_back(Chunk chunk);

  Pieces& pieces_;
  const std::uint32_t memory_type_;
  const char* const site_;
  std::mutex mutex_;
  std::vector<Chunk> free_;
  std::atomic<bool> has_spare_{false};
};

/// A queue's share of a pool: the chunk that is being filled, by one batch after the other, for most fill little of
/// one.
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

/// What one command takes of a source.
class Staging {
 public:
  explicit Staging(ChunkSource& source) : source_(source) {}

  /// Throws Failure of LKS_OUT_OF_MEMORY.
  Staged take(std::uint64_t bytes);
  std::uint64_t bytes() const { return bytes_; }
  std::size_t chunk_count() const { return chunks_.size(); }
  /// Leaves the chunks to whoever keeps them until the device is done.
  void move_to(Chunks& keeper);
  void release();

 private:
  ChunkSource& source_;
  Chunks chunks_;
  std::uint64_t bytes_ = 0;
};

}  // namespace vulkan
