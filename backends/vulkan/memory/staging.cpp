#include "backends/vulkan/memory/staging.h"

#include <algorithm>

namespace vulkan {
namespace {

constexpr std::uint64_t chunk_bytes = std::uint64_t{1} << 20, alignment = 64;
constexpr std::size_t max_free_chunks = 8;

}  // namespace

ChunkPool::~ChunkPool() {
  for (const Chunk& c : free_) allocator_.free(c.allocation);
}

std::shared_ptr<Chunk> ChunkPool::take(std::uint64_t bytes) {
  const auto owned = [this](const Chunk& chunk) {
    return std::shared_ptr<Chunk>(new Chunk(chunk), [this](Chunk* c) {
      give_back(*c);
      delete c;
    });
  };
  if (bytes <= chunk_bytes) {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      const Chunk c = free_.back();
      free_.pop_back();
      return owned(c);
    }
  }
  if (bytes <= chunk_bytes && !has_spare_) {
    // A second chunk is needed sooner or later, while the first is in use. It is allocated now, rather than in the
    // middle of a program.
    const Allocation spare = allocator_.make(memory_type_, chunk_bytes, true, site_);
    const std::lock_guard lock(mutex_);
    free_.push_back({spare, 0});
    has_spare_ = true;
  }
  return owned({allocator_.make(memory_type_, std::max(bytes, chunk_bytes), true, site_), 0});
}

void ChunkPool::give_back(Chunk chunk) {
  chunk.used = 0;
  {
    const std::lock_guard lock(mutex_);
    if (chunk.allocation.bytes == chunk_bytes && free_.size() < max_free_chunks) {
      free_.push_back(chunk);
      return;
    }
  }
  allocator_.free(chunk.allocation);
}

std::shared_ptr<Chunk> ChunkSource::room_for(std::uint64_t bytes) {
  if (open_ && open_->allocation.bytes - open_->used >= bytes) return open_;
  // A request longer than a chunk gets a chunk of its own, and the chunk that is being filled stays open.
  if (bytes > chunk_bytes) return pool_.take(bytes);
  return open_ = pool_.take(bytes);
}

Staged Staging::take(std::uint64_t bytes) {
  const std::uint64_t whole = (bytes + alignment - 1) / alignment * alignment;
  const std::shared_ptr<Chunk> c = source_.room_for(whole);
  if (chunks_.empty() || chunks_.back() != c) chunks_.push_back(c);
  const Staged staged{c->allocation.mapped + c->used, c->allocation.at(c->used)};
  c->used += whole;
  bytes_ += whole;
  return staged;
}

void Staging::move_to(Chunks& keeper) {
  for (std::shared_ptr<Chunk>& c : chunks_) {
    if (keeper.empty() || keeper.back() != c) keeper.push_back(std::move(c));
  }
  release();
}

void Staging::release() {
  chunks_.clear();
  bytes_ = 0;
}

}  // namespace vulkan
