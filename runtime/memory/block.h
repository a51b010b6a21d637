// Blocks of device memory. A tensor's storage is one block.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "api/internal/mutex.h"
#include "lockstep/driver.h"
#include "lockstep/memory.h"
#include "lockstep/scope.h"

namespace lockstep {

class CommandQueue;
class DeviceState;
struct Block;

/// One allocation from the driver. It is split into blocks that cover it without gaps.
struct Segment {
  lks_buffer* buffer = nullptr;
  std::uint64_t bytes = 0;
  bool large = false;  // for the pool's large requests
  Block* first = nullptr;
};

/// What a command in flight that fills a block from the host knows of it: the block, until that is freed.
struct Upload {
  explicit Upload(Block* of) : block(of) {}

  Mutex mutex;
  Block* block LOCKSTEP_GUARDED_BY(mutex);
  std::uint64_t value = 0;  // of the command
};

/// A value that several threads read and write without a lock of their own. Each access is atomic and costs no more
/// than a plain one; locks of the code around it give the order.
template <class T>
class RelaxedAtomic {
 public:
  RelaxedAtomic(T value) : value_(value) {}  // NOLINT: implicit by design
  operator T() const { return value_.load(std::memory_order_relaxed); }
  T operator=(T value) {
    value_.store(value, std::memory_order_relaxed);
    return value;
  }

 private:
  std::atomic<T> value_;
};

/// The last command that writes a block; `queue` is nullptr if there is nothing to wait for.
struct BlockWrite {
  CommandQueue* queue = nullptr;
  std::uint64_t value = 0;

  friend bool operator==(const BlockWrite&, const BlockWrite&) = default;
};

/// The newest command of a queue that uses a block.
struct QueueUse {
  CommandQueue* queue;
  std::uint64_t value;
};

/// A part of a segment, in use or free. Reference-counted, since tensors and views share it.
struct Block {
  std::atomic<std::uint32_t> refs{0};
  std::atomic<std::uint32_t> undo_refs{0};  // how many of `refs` are UndoRefs of commands in flight
  MemoryOwner owner = MemoryOwner::other;
  // True until the block is back in the pool. `refs` does not say that: the last reference is dropped outside the
  // allocator's lock, before the block is freed (the pool must not merge or delete it earlier), and if nobody else had
  // one, `refs` stays 1 (see release()).
  bool in_use = false;
  bool cached_exact = false;  // free, in the list of its size class, not merged with its neighbours
  // DeviceState::poison_count() when all of this free block was filled with the poison; 0 if it was not.
  std::uint64_t poisoned_at = 0;
  std::uint64_t offset = 0;  // bytes from the start of the segment's buffer
  std::uint64_t bytes = 0;
  std::uint64_t requested = 0;  // the requested size; at most `bytes`
  DeviceState* device = nullptr;
  lks_buffer* buffer = nullptr;
  Segment* segment = nullptr;
  Block* previous = nullptr;  // neighbours in address order
  Block* next = nullptr;
  const char* label = nullptr;  // static string: the op that allocated it
  const ScopeName* scope = nullptr;
  // The last command that writes the block since its allocation; a read waits for it. nullptr: nothing to wait for. A
  // thread that detects a failure undoes or repeats commands, including those of other threads, and changes both
  // fields. Code that waits for the command reads both at once with last_write(): a queue and a value that do not
  // belong together name a command that may never exist.
  RelaxedAtomic<CommandQueue*> write_queue = nullptr;
  RelaxedAtomic<std::uint64_t> write_value = 0;
  // The queue whose commands may use the block without being noted, because what is enqueued there later runs after
  // them: the one that the block was allocated or last written for. nullptr: the device's own queue.
  CommandQueue* home = nullptr;
  std::uint64_t freed_at = 0;  // of a free block, on a device with streams: the newest command of `home` at that time
  // What other queues read of it (runtime/stream_order.h). nullptr on a device without streams.
  std::unique_ptr<std::vector<QueueUse>> uses;
  std::shared_ptr<Upload> upload;  // if the block was filled from the host by an asynchronous queue
  // The owner of memory that is not the pool's (memory/foreign.h). Such a block is never written.
  std::shared_ptr<const void> foreign;
};

/// The block's last write, both parts of the same one. Takes a lock.
BlockWrite last_write(const Block& block);
/// To be called where another thread may read the block's last write at the same time.
void set_last_write(Block& block, const BlockWrite& write);

/// Drops a reference. Dropping the last one frees the block in its device's allocator.
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

  /// True if this is the only reference, except for UndoRefs of commands in flight, so that the block may be written in
  /// place. Never true for memory that others own. `refs` is read first: if a command retires in between, the result
  /// counts too many references, not too few.
  bool unique() const {
    if (block_->foreign) return false;
    const std::uint32_t refs = block_->refs.load(std::memory_order_acquire);
    return refs - block_->undo_refs.load(std::memory_order_acquire) == 1;
  }

 private:
  Block* block_ = nullptr;
};

/// A reference to the upload's block, or an empty one if the block was freed.
BlockRef block_of(Upload& upload);

/// The reference of a command in flight to a block that it writes in place. It keeps the block alive, but unique() does
/// not count it, so that the owner can still write the block in place.
class UndoRef {
 public:
  explicit UndoRef(const BlockRef& block) : block_(block) { block_->undo_refs.fetch_add(1, std::memory_order_release); }
  UndoRef(const UndoRef& other) : UndoRef(other.block_) {}
  UndoRef& operator=(const UndoRef&) = delete;
  ~UndoRef() { block_->undo_refs.fetch_sub(1, std::memory_order_release); }

  Block* get() const { return block_.get(); }

 private:
  const BlockRef block_;  // released after undo_refs was decremented
};

}  // namespace lockstep
