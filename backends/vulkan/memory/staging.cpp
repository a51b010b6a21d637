#include "backends/vulkan/memory/staging.h"

#include <algorithm>

namespace vulkan {
namespace {

constexpr std::uint64_t chunk_bytes = std::uint64_t{1} << 20, alignment = 64;
constexpr std::size_t most_free = 8;

}  // namespace

ChunkPool::~ChunkPool() {
  for (const Chunk& c : free_) pieces_.free(c.piece);
}

Chunk ChunkPool::take(std::uint64_t bytes) {
  if (bytes <= chunk_bytes) {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      const Chunk c = free_.back();
      free_.pop_back();
      return c;
    }
  }
  return {pieces_.make(memory_type_, std::max(bytes, chunk_bytes), true, site_), 0};
}

void ChunkPool::give_back(Chunk chunk) {
  chunk.used = 0;
  {
    const std::lock_guard lock(mutex_);
    if (chunk.piece.bytes == chunk_bytes && free_.size() < most_free) {
      free_.push_back(chunk);
      return;
    }
  }
  pieces_.free(chunk.piece);
}

Chunk& Staging::room_for(std::uint64_t bytes) {
  if (!chunks_.empty() && chunks_.back().piece.bytes - chunks_.back().used >= bytes) return chunks_.back();
  chunks_.reserve(chunks_.size() + 1);
  // A long one is full at once: the chunk that was being filled stays the last.
  const bool before_last = bytes > chunk_bytes && !chunks_.empty();
  return *chunks_.insert(chunks_.end() - (before_last ? 1 : 0), pool_.take(bytes));
}

Staged Staging::take(std::uint64_t bytes) {
  const std::uint64_t whole = (bytes + alignment - 1) / alignment * alignment;
  Chunk& c = room_for(whole);
  const Staged staged{c.piece.mapped + c.used, c.piece.address + c.used};
  c.used += whole;
  return staged;
}

void Staging::release() {
  for (const Chunk& c : chunks_) pool_.give_back(c);
  chunks_.clear();
}

}  // namespace vulkan
