// Blocks of device memory. A tensor's storage is one block.
#pragma once

#include <atomic>
#include <cstdint>

#include "lockstep/driver.h"
#include "lockstep/memory.h"
#include "lockstep/scope.h"

namespace lockstep {

class CommandQueue;
class DeviceState;
struct Block;

/// Memory that the driver handed out in one piece; split into blocks that cover it without gaps.
struct Segment {
  lks_buffer* buffer = nullptr;
  std::uint64_t bytes = 0;
  bool large = false;  // serves the pool's large requests
  Block* first = nullptr;
};

/// A part of a segment, in use or free. Reference-counted, since tensors and views share it.
struct Block {
  std::atomic<std::uint32_t> refs{0};
  std::atomic<std::uint32_t> undo_refs{0};  // of those: by commands in flight that may have to be undone (UndoRef)
  MemoryOwner owner = MemoryOwner::other;
  // Handed out by the pool. Kept apart from `refs`, which drops to 0 outside the allocator's lock, while the block is
  // still on its way back: the pool must not merge or delete it before it has arrived.
  bool in_use = false;
  bool cached_exact = false;  // waits in a size-class list, not merged with its neighbours
  std::uint64_t offset = 0;   // bytes from the start of the segment's buffer
  std::uint64_t bytes = 0;
  std::uint64_t requested = 0;  // what was asked for; at most `bytes`
  DeviceState* device = nullptr;
  lks_buffer* buffer = nullptr;
  Segment* segment = nullptr;
  Block* previous = nullptr;  // neighbours in address order
  Block* next = nullptr;
  const char* label = nullptr;  // static string: the op that made it
  const ScopeName* scope = nullptr;
  // The last command that writes it since it was handed out; a read waits for it. Queue nullptr: nothing outstanding.
  CommandQueue* write_queue = nullptr;
  std::uint64_t write_value = 0;
};

/// Drops a reference; the last one gives the block back to its device's allocator.
void release(Block* block);

/// Shared ownership of a block.
class BlockRef {
 public:
  BlockRef() = default;
  /// Takes over one reference.
  static BlockRef adopt(Block* block) {
    BlockRef ref;
    ref.block_ = block;
    return ref;
  }
  BlockRef(const BlockRef& other) : block_(other.block_) {
    if (block_) block_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  BlockRef(BlockRef&& other) noexcept : block_(other.block_) { other.block_ = nullptr; }
  BlockRef& operator=(BlockRef other) noexcept {
    Block* mine = block_;
    block_ = other.block_;
    other.block_ = mine;
    return *this;
  }
  ~BlockRef() {
    if (block_) release(block_);
  }

  Block* get() const { return block_; }
  Block* operator->() const { return block_; }
  Block& operator*() const { return *block_; }
  explicit operator bool() const { return block_ != nullptr; }

  /// True if nobody else holds the block, but for commands in flight that write it. In this order: such a command may
  /// retire in between, and then too many holders are counted, not too few.
  bool unique() const {
    const std::uint32_t refs = block_->refs.load(std::memory_order_acquire);
    return refs - block_->undo_refs.load(std::memory_order_acquire) == 1;
  }

 private:
  Block* block_ = nullptr;
};

/// What a command in flight holds of a block that it writes in place: the block stays, and stays its owner's to write.
class UndoRef {
 public:
  explicit UndoRef(const BlockRef& block) : block_(block) { block_->undo_refs.fetch_add(1, std::memory_order_release); }
  UndoRef(const UndoRef& other) : UndoRef(other.block_) {}
  UndoRef& operator=(const UndoRef&) = delete;
  ~UndoRef() { block_->undo_refs.fetch_sub(1, std::memory_order_release); }

  Block* operator->() const { return block_.get(); }

 private:
  const BlockRef block_;  // let go after the count is right again
};

}  // namespace lockstep
