#include "runtime/memory/allocator.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lockstep/error.h"
#include "lockstep/options.h"
#include "runtime/device_state.h"
#include "runtime/driver_status.h"
#include "runtime/forked.h"
#include "runtime/memory/foreign.h"
#include "runtime/thread_state.h"

namespace lockstep {

Allocator::Allocator(DeviceState& device, std::shared_ptr<MemoryBudget> budget)
    : device_(device),
      budget_(std::move(budget)),
      driver_(device.api(), device.handle()),
      limited_(driver_, budget_),
      pool_(
          limited_, &device,
          [this] {
            mutex_.assume_held();
            return wait_idle();
          },
          device.info().min_alignment) {}

// Finished commands are destroyed without the lock. They free blocks, and release memory of other libraries, whose
// deleters may wait for a thread that allocates. Such threads may also enqueue more meanwhile, and then free what it
// uses, so the device is idle only if it still is with the lock.
bool Allocator::wait_idle() {
  constexpr int max_rounds = 4;
  for (int i = 0; i < max_rounds; ++i) {
    {
      const UnlockGuard unlocked(mutex_);
      device_.wait_idle();
    }
    if (device_.wait_for_device()) return true;
  }
  return false;
}

void Allocator::expect_streams() {
  const LockGuard lock(mutex_);
  pool_.expect_streams(&device_.own_queue());
}

void Allocator::forget_streams() {
  const LockGuard lock(mutex_);
  pool_.forget_streams();
}

BlockRef Allocator::allocate(std::uint64_t bytes, const BlockPurpose& purpose) {
  check_not_forked();
  const ThreadState& thread = thread_state();
  CommandQueue* const home = thread.stream ? device_.home_of(device_.queue()) : nullptr;
  SegmentResult failure;
  Block* block = nullptr;
  std::uint64_t poisoned_at = 0;
  {
    const LockGuard lock(mutex_);
    failure.status = fault::point(LKS_FAULT_ALLOC, "runtime.allocate");
    if (failure.status == LKS_OK) block = pool_.allocate(bytes, failure, home);
    if (block) {
      block->requested = bytes;
      block->owner = thread.owner;
      block->label = purpose.label;
      block->scope = thread.scope;
      // The block's previous use does not matter: a queue runs its commands in order, and other queues are done.
      block->write_queue = nullptr;
      block->write_value = 0;
      poisoned_at = std::exchange(block->poisoned_at, 0);
      block->refs.store(1, std::memory_order_relaxed);
      tracker_.add(block->owner, block->bytes);
      tracker_.note_reserved(pool_.reserved());
    }
  }
  if (!block) fail(bytes, failure, purpose);
  BlockRef taken = BlockRef::adopt(block);  // freed if poisoning fails
  if (poison_.load(std::memory_order_relaxed) && poisoned_at != device_.poison_count()) device_.poison(*block);
  return taken;
}

void Allocator::free(Block* block) {
  std::uint64_t poisoned_at = 0;
  if (poison_.load(std::memory_order_relaxed)) {
    try {
      if (block->uses) {
        for (const QueueUse& use : *block->uses) use.queue->wait_until_done(use.value);
      }
      const std::uint64_t count = device_.poison_count();  // before the fill, which a failure may skip
      device_.poison(*block);
      poisoned_at = count;
    } catch (const Error& e) {
      // A block that cannot be poisoned is freed anyway, and destructors must not throw.
      log(LKS_LOG_DEBUG, "memory", e.what());
    }
  }
  const LockGuard lock(mutex_);
  tracker_.remove(block->owner, block->bytes);
  block->poisoned_at = poisoned_at;
  pool_.free(block);
}

void Allocator::set_owner(Block* block, MemoryOwner owner, const ScopeName* name) {
  const LockGuard lock(mutex_);
  if (!block->foreign) {  // else it is not accounted
    tracker_.move(block->owner, owner, block->bytes);
  }
  block->owner = owner;
  if (!name) return;
  block->label = name->name.c_str();
  block->scope = name->parent;
}

MemoryStats Allocator::stats() {
  const LockGuard lock(mutex_);
  MemoryStats stats = tracker_.stats();
  stats.reserved = pool_.reserved();
  stats.cached = stats.reserved - stats.live;
  stats.largest_cached_block = pool_.largest_cached();
  stats.limit = budget_->limit();
  stats.driver_allocations = pool_.growths();
  return stats;
}

void Allocator::reset_peak() {
  const LockGuard lock(mutex_);
  tracker_.reset_peak(pool_.reserved());
}

void Allocator::set_limit(std::optional<std::uint64_t> bytes) {
  check_not_forked();
  const LockGuard lock(mutex_);
  if (bytes && budget_->used() > *bytes) pool_.release_cached();
  budget_->set_limit(bytes);
}

void Allocator::set_compact(bool on) {
  const LockGuard lock(mutex_);
  compact_ += on ? 1 : -1;
  pool_.set_compact(compact_ > 0);
}

void Allocator::release_cached() {
  check_not_forked();
  const LockGuard lock(mutex_);
  pool_.release_cached();
}

void Allocator::fail(std::uint64_t bytes, const SegmentResult& failure, const BlockPurpose& purpose) {
  // The failure may have another cause than memory, such as a lost device.
  if (failure.diag && failure.status != LKS_OUT_OF_MEMORY) {
    const bool refused = failure.status == LKS_UNSUPPORTED;  // here it does not mean a missing kernel
    raise_driver_failure(refused ? lks_status{LKS_INTERNAL} : failure.status, *failure.diag, device_.name(),
                         {purpose.label ? purpose.label : "memory", purpose.where});
  }
  MemoryShortage shortage;
  shortage.requested = bytes;
  shortage.by_limit = failure.shortage == Shortage::limit;
  shortage.stats = stats();
  shortage.device_total = device_.memory_total();
  shortage.device_free = device_.memory_free();
  {
    const LockGuard lock(mutex_);
    if (failure.diag) shortage.driver_text = failure.diag->what;
    std::map<std::string, std::uint64_t> holders;
    pool_.for_each_block([&](const Block& block) {
      if (!block.in_use) return;
      std::string name = block.scope ? block.scope->path() + "/" : "";
      name += block.label ? std::string_view(block.label) : name_of(block.owner);
      holders[name] += block.bytes;
    });
    shortage.largest.assign(holders.begin(), holders.end());
  }
  std::stable_sort(shortage.largest.begin(), shortage.largest.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  raise_out_of_memory(device_.name(), shortage, purpose);
}

void release(Block* block) {
  // The only owner need not lock the counter, unless an upload may still add a reference (block_of).
  const bool only = block->refs.load(std::memory_order_acquire) == 1 && !block->upload;
  if (!only && block->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (in_forked_child.load(std::memory_order_relaxed)) return;  // the parent's block: the lock may be held for ever
  if (const std::shared_ptr<Upload> upload = std::move(block->upload)) {
    const LockGuard lock(upload->mutex);
    upload->block = nullptr;
  }
  if (block->foreign) return free_foreign(block);
  block->device->allocator().free(block);
}

// A block without a write has none, whatever its value is at the moment.
BlockWrite last_write(const Block& block) {
  if (!block.write_queue) return {};
  const LockGuard lock(block.device->uses_mutex());
  return {block.write_queue, block.write_value};
}

void set_last_write(Block& block, const BlockWrite& write) {
  const LockGuard lock(block.device->uses_mutex());
  block.write_queue = write.queue;
  block.write_value = write.value;
}

BlockRef block_of(Upload& upload) {
  const LockGuard lock(upload.mutex);
  if (!upload.block) return {};
  // The last reference may just have been dropped: release() then waits for the lock.
  std::uint32_t refs = upload.block->refs.load(std::memory_order_relaxed);
  while (refs != 0) {
    if (upload.block->refs.compare_exchange_weak(refs, refs + 1, std::memory_order_acq_rel)) {
      return BlockRef::adopt(upload.block);
    }
  }
  return {};
}

}  // namespace lockstep
