// Memory that both the host and the device can access: staging memory for transfers, and the parameters of launches. It
// is allocated in chunks, which return to their pool when the commands that use them are done.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "api/internal/mutex.h"
#include "backends/gpu/memory/memory_source.h"

namespace gpu {

/// `Allocation` has the members
///   std::byte* mapped;                         // as the host sees it
///   std::uint64_t bytes;
///   Location at(std::uint64_t offset) const;   // as the device sees it; `Location` is a type in Allocation
template <class Allocation>
struct Chunk {
  static constexpr std::uint64_t usual_bytes = std::uint64_t{1} << 20;

  Allocation allocation;
  std::uint64_t used = 0;
};

template <class Allocation>
using Chunks = std::vector<std::shared_ptr<Chunk<Allocation>>>;

/// A range of a chunk, as the host and as the device see it.
template <class Allocation>
struct Staged {
  std::byte* data = nullptr;
  typename Allocation::Location location;
};

/// A pool that keeps free chunks for reuse. Free-threaded.
template <class Allocation>
class ChunkPool {
 public:
  explicit ChunkPool(MemorySource<Allocation> source) : source_(std::move(source)) {}
  ~ChunkPool() {
    for (const auto& chunk : free_) source_.free(chunk.allocation);
  }
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  /// A chunk of at least `bytes`. It returns to the pool when its last reference is dropped. Throws Failure of
  /// LKS_OUT_OF_MEMORY.
  std::shared_ptr<Chunk<Allocation>> take(std::uint64_t bytes) {
    if (bytes <= usual_bytes) {
      const lockstep::LockGuard lock(mutex_);
      if (!free_.empty()) {
        const Chunk<Allocation> chunk = free_.back();
        free_.pop_back();
        return owned(chunk);
      }
    }
    if (bytes <= usual_bytes && !has_spare_) {
      // A second chunk is needed sooner or later, while the first is in use. It is allocated now, rather than in the
      // middle of a program.
      const Allocation spare = source_.make(usual_bytes);
      const lockstep::LockGuard lock(mutex_);
      free_.push_back({spare, 0});
      has_spare_ = true;
    }
    return owned({source_.make(std::max(bytes, usual_bytes)), 0});
  }

 private:
  static constexpr std::uint64_t usual_bytes = Chunk<Allocation>::usual_bytes;
  static constexpr std::size_t max_free_chunks = 8;

  std::shared_ptr<Chunk<Allocation>> owned(const Chunk<Allocation>& chunk) {
    return std::shared_ptr<Chunk<Allocation>>(new Chunk<Allocation>(chunk), [this](Chunk<Allocation>* c) {
      give_back(*c);
      delete c;
    });
  }

  void give_back(Chunk<Allocation> chunk) {
    chunk.used = 0;
    {
      const lockstep::LockGuard lock(mutex_);
      if (chunk.allocation.bytes == usual_bytes && free_.size() < max_free_chunks) {
        free_.push_back(chunk);
        return;
      }
    }
    source_.free(chunk.allocation);
  }

  const MemorySource<Allocation> source_;
  lockstep::Mutex mutex_;
  std::vector<Chunk<Allocation>> free_ LOCKSTEP_GUARDED_BY(mutex_);
  std::atomic<bool> has_spare_{false};
};

/// The chunk that a queue is filling. Successive batches share it, because most of them need little of one.
template <class Allocation>
class ChunkSource {
 public:
  explicit ChunkSource(ChunkPool<Allocation>& pool) : pool_(pool) {}

  /// A chunk with room for `bytes`. Throws Failure of LKS_OUT_OF_MEMORY.
  std::shared_ptr<Chunk<Allocation>> room_for(std::uint64_t bytes) {
    if (open_ && open_->allocation.bytes - open_->used >= bytes) return open_;
    // A request longer than a chunk gets a chunk of its own, and the chunk that is being filled stays open.
    if (bytes > Chunk<Allocation>::usual_bytes) return pool_.take(bytes);
    return open_ = pool_.take(bytes);
  }

 private:
  ChunkPool<Allocation>& pool_;
  std::shared_ptr<Chunk<Allocation>> open_;
};

/// The memory that one command takes from a source.
template <class Allocation>
class Staging {
 public:
  explicit Staging(ChunkSource<Allocation>& source) : source_(source) {}

  /// Throws Failure of LKS_OUT_OF_MEMORY.
  Staged<Allocation> take(std::uint64_t bytes) {
    constexpr std::uint64_t alignment = 64;
    const std::uint64_t whole = (bytes + alignment - 1) / alignment * alignment;
    const std::shared_ptr<Chunk<Allocation>> chunk = source_.room_for(whole);
    if (chunks_.empty() || chunks_.back() != chunk) chunks_.push_back(chunk);
    const Staged<Allocation> staged{chunk->allocation.mapped + chunk->used, chunk->allocation.at(chunk->used)};
    chunk->used += whole;
    bytes_ += whole;
    return staged;
  }

  /// Takes memory for a transfer to or from `location` in pieces, so that no chunk needs to be as long as the longest
  /// tensor. Calls handle(location of the piece, staged, offset, length) for each. Staged memory is shifted, so that
  /// both ends of a copy have the same alignment. Throws Failure of LKS_OUT_OF_MEMORY.
  template <class Handle>
  void take_pieces(const typename Allocation::Location& location, std::uint64_t bytes, Handle&& handle) {
    constexpr std::uint64_t max_piece = std::uint64_t{64} << 20;
    for (std::uint64_t at = 0; at < bytes; at += max_piece) {
      const std::uint64_t length = std::min(max_piece, bytes - at), shift = (location.address + at) % 16;
      const Staged<Allocation> staged = take(length + shift);
      handle(location + at, Staged<Allocation>{staged.data + shift, staged.location + shift}, at, length);
    }
  }

  std::uint64_t bytes() const { return bytes_; }
  std::size_t chunk_count() const { return chunks_.size(); }
  /// Moves the chunks to `keeper`, which holds them until the device is done.
  void move_to(Chunks<Allocation>& keeper) {
    for (std::shared_ptr<Chunk<Allocation>>& chunk : chunks_) {
      if (keeper.empty() || keeper.back() != chunk) keeper.push_back(std::move(chunk));
    }
    release();
  }
  void release() {
    chunks_.clear();
    bytes_ = 0;
  }

 private:
  ChunkSource<Allocation>& source_;
  Chunks<Allocation> chunks_;
  std::uint64_t bytes_ = 0;
};

}  // namespace gpu
