#include "runtime/memory/pool.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "runtime/device_state.h"

namespace lockstep {
namespace {

// Size classes are multiples of 64 bytes up to 1 KiB, then eight per power of two, so that at most an eighth is wasted.
constexpr std::uint64_t fine_limit = 1024;

std::uint64_t step_for(std::uint64_t bytes) {
  return bytes <= fine_limit ? BlockPool::granularity : std::bit_floor(bytes - 1) / 8;
}

std::size_t class_of(std::uint64_t rounded_bytes) {
  if (rounded_bytes <= fine_limit) return static_cast<std::size_t>(rounded_bytes / BlockPool::granularity);
  const std::uint64_t floor = std::bit_floor(rounded_bytes - 1);
  const auto power = static_cast<std::size_t>(std::countr_zero(floor));
  return 16 + (power - 10) * 8 + static_cast<std::size_t>((rounded_bytes - floor) >> (power - 3));
}

bool is_free(const Block* block) { return block && !block->in_use; }

}  // namespace

BlockPool::BlockPool(SegmentSource& source, DeviceState* device, std::function<bool()> wait_idle,
                     std::uint64_t alignment)
    : source_(source),
      device_(device),
      wait_idle_(std::move(wait_idle)),
      alignment_(std::max(granularity, alignment)) {}

BlockPool::~BlockPool() {
  merge_exact_lists();
  return_segments();
}

std::uint64_t BlockPool::rounded(std::uint64_t bytes, std::uint64_t alignment) {
  if (bytes <= alignment) return alignment;
  // Both are powers of two, so a multiple of the larger is still a size class.
  const std::uint64_t step = std::max(step_for(bytes), alignment);
  return (bytes + step - 1) & ~(step - 1);
}

Block* BlockPool::allocate(std::uint64_t bytes, SegmentResult& failure, CommandQueue* home) {
  const std::uint64_t size = rounded(bytes, alignment_);
  Block* block = compact_ ? take_compact(size, home) : take_exact(size, home);
  if (!block) block = take_best_fit(size, home);
  if (!block) block = take_merged(size, home);
  if (!block && own_) {
    device_->refresh_done();  // other streams may have finished with what they freed; does not wait
    block = take_merged(size, home);
  }
  if (!block) block = grow(size, failure, home);
  if (block) block->in_use = true;
  return block;
}

Block* BlockPool::take_merged(std::uint64_t bytes, CommandQueue* home) {
  merge_exact_lists();
  return take_best_fit(bytes, home);
}

Block* BlockPool::take_compact(std::uint64_t bytes, CommandQueue* home) {
  static_cast<void>(wait_idle_());  // for what commands in flight hold; their order keeps the memory itself safe
  merge_exact_lists();
  Block* block = take_best_fit(bytes, home);
  return block ? block : take_best_fit(bytes, free_blocks_[is_large(bytes) ? 0 : 1], home);
}

void BlockPool::free(Block* block) {
  block->in_use = false;
  if (own_) block->freed_at = home_of(*block).newest();
  // The list is that of the request that it served, so that the same request finds it again.
  const std::size_t size_class = class_of(rounded(block->requested, alignment_));
  FreeBlocks& blocks = free_blocks_of(*block);
  if (blocks.exact.size() <= size_class) blocks.exact.resize(size_class + 1);
  blocks.exact[size_class].push_back(block);
  ++blocks.exact_count;
  block->cached_exact = true;
}

Block* BlockPool::take_exact(std::uint64_t bytes, CommandQueue* home) {
  FreeBlocks& blocks = free_blocks_for(bytes);
  const std::size_t size_class = class_of(bytes);
  if (blocks.exact.size() <= size_class || blocks.exact[size_class].empty()) return nullptr;
  std::vector<Block*>& list = blocks.exact[size_class];
  if (own_ && !move_to_end(list, home)) return nullptr;
  Block* block = list.back();
  list.pop_back();
  --blocks.exact_count;
  block->cached_exact = false;
  if (own_) give_to(*block, home);
  return block;
}

Block* BlockPool::take_best_fit(std::uint64_t bytes, FreeBlocks& blocks, CommandQueue* home) {
  auto it = blocks.merged.lower_bound(bytes);
  while (it != blocks.merged.end() && !may_have(**it, home)) ++it;
  if (it == blocks.merged.end()) return nullptr;
  Block* block = *it;
  blocks.merged.erase(it);
  if (own_) give_to(*block, home);
  split(block, bytes);
  return block;
}

// If a limit leaves little room, segments for small requests are smaller, so that little memory in them stays unused.
std::uint64_t BlockPool::segment_for(std::uint64_t bytes) const {
  const std::uint64_t room = source_.room();
  const bool limited = room != UINT64_MAX;
  if (compact_) return limited ? std::max(bytes, std::min(room, max_compact)) : bytes;
  return is_large(bytes) ? bytes : std::max(bytes, std::min(room / 16, small_segment));
}

Block* BlockPool::grow(std::uint64_t bytes, SegmentResult& failure, CommandQueue* home) {
  const bool large = is_large(bytes);
  std::uint64_t wanted = segment_for(bytes);
  Block* block = add_segment(wanted, large, failure);
  if (!block) {
    release_cached();
    // While release_cached() waited, commands may have freed a part of a segment that is still in use.
    if (Block* part = take_best_fit(bytes, home)) return part;
    wanted = segment_for(bytes);
    block = add_segment(wanted, large, failure);
  }
  if (!block && wanted > bytes) block = add_segment(bytes, large, failure);
  // As a last resort, use a free block in a segment of the other kind.
  if (!block) return take_best_fit(bytes, free_blocks_[large ? 0 : 1], home);
  if (own_) give_to(*block, home);
  split(block, bytes);
  return block;
}

Block* BlockPool::add_segment(std::uint64_t bytes, bool large, SegmentResult& failure) {
  failure = source_.allocate(bytes);
  if (!failure.buffer) return nullptr;
  auto segment = std::make_unique<Segment>();
  segment->buffer = failure.buffer;
  segment->bytes = bytes;
  segment->large = large;
  auto* block = new Block;
  block->bytes = bytes;
  block->device = device_;
  block->buffer = segment->buffer;
  block->segment = segment.get();
  segment->first = block;
  segments_.push_back(std::move(segment));
  reserved_ += bytes;
  ++growths_;
  return block;
}

// The tail does not take over the block's write_queue and write_value, although commands of its home may still be
// writing that memory. A queue runs its commands in order, so what that queue's next owner of either part enqueues
// comes later, and other queues get it only when they are done; allocate() resets the fields of the head too. Whoever
// accesses memory outside the queues, as release_cached() and host kernels do, waits until they are idle.
void BlockPool::split(Block* block, std::uint64_t bytes) {
  const std::uint64_t rest = block->bytes - bytes;
  if (block->segment->large && !compact_ ? rest <= small_limit : rest < alignment_) return;
  auto* tail = new Block;
  tail->offset = block->offset + bytes;
  tail->bytes = rest;
  tail->device = device_;
  tail->buffer = block->buffer;
  tail->segment = block->segment;
  tail->home = block->home;
  tail->freed_at = block->freed_at;
  tail->poisoned_at = block->poisoned_at;
  tail->previous = block;
  tail->next = block->next;
  if (tail->next) tail->next->previous = tail;
  block->next = tail;
  block->bytes = bytes;
  free_blocks_of(*tail).merged.insert(tail);
}

// Both parts are used by one queue alone, or by none.
void BlockPool::absorb_next(Block* into) {
  Block* gone = into->next;
  if (into->home != gone->home || into->uses || gone->uses) {
    into->home = nullptr;
    into->freed_at = 0;
    into->uses.reset();
  } else {
    into->freed_at = std::max(into->freed_at, gone->freed_at);
  }
  if (into->poisoned_at != gone->poisoned_at) into->poisoned_at = 0;
  into->bytes += gone->bytes;
  into->next = gone->next;
  if (gone->next) gone->next->previous = into;
  delete gone;
}

Block* BlockPool::merge_with_neighbours(Block* block) {
  FreeBlocks& blocks = free_blocks_of(*block);
  if (is_free(block->next) && !block->next->cached_exact && can_merge(*block, *block->next)) {
    blocks.merged.erase(block->next);
    absorb_next(block);
  }
  if (is_free(block->previous) && !block->previous->cached_exact && can_merge(*block->previous, *block)) {
    block = block->previous;
    blocks.merged.erase(block);
    absorb_next(block);
  }
  return block;
}

// Neighbours that could not be merged when they were freed, because commands of different queues used them.
void BlockPool::merge_segments() {
  for (const auto& segment : segments_) {
    for (Block* block = segment->first; block;) {
      if (!is_free(block) || !is_free(block->next) || !can_merge(*block, *block->next)) {
        block = block->next;
        continue;
      }
      FreeBlocks& blocks = free_blocks_of(*block);
      blocks.merged.erase(block);
      blocks.merged.erase(block->next);
      absorb_next(block);
      blocks.merged.insert(block);
    }
  }
}

void BlockPool::merge_exact_lists() {
  for (FreeBlocks& blocks : free_blocks_) {
    if (blocks.exact_count == 0) continue;
    for (auto& list : blocks.exact) {
      for (Block* block : list) {
        block->cached_exact = false;
        blocks.merged.insert(merge_with_neighbours(block));
      }
      list.clear();
    }
    blocks.exact_count = 0;
  }
  if (own_) merge_segments();
}

void BlockPool::release_cached() {
  // This comes first, because commands that are found to be done may free blocks of this pool.
  const bool idle = wait_idle_();
  merge_exact_lists();
  if (idle) return_segments();
}

void BlockPool::return_segments() {
  std::erase_if(segments_, [&](const std::unique_ptr<Segment>& segment) {
    Block* block = segment->first;
    if (!is_free(block) || block->next || !is_quiet(*block)) return false;
    free_blocks_of(*block).merged.erase(block);
    source_.free(segment->buffer, segment->bytes);
    reserved_ -= segment->bytes;
    delete block;
    return true;
  });
}

// ------------------------------------------------------------------------------------------------------------ streams

void BlockPool::expect_streams(CommandQueue* own) {
  if (own_) return;
  own_ = own;
  for (const auto& segment : segments_) {
    for (Block* block = segment->first; block; block = block->next) block->freed_at = own->newest();
  }
}

void BlockPool::forget_streams() {
  for (const auto& segment : segments_) {
    for (Block* block = segment->first; block; block = block->next) {
      block->home = nullptr;
      block->uses.reset();
    }
  }
  // Neighbours that different queues used were kept apart, but a segment is released only as one block. While own_ is
  // set, this merges all neighbours that are free; later it merges only those that come from the exact lists.
  merge_exact_lists();
  own_ = nullptr;
}

// Whether no command uses the block.
bool BlockPool::is_quiet(const Block& block) const {
  if (!own_) return true;
  if (!home_of(block).is_done(block.freed_at)) return false;
  const auto is_done = [](const QueueUse& use) { return use.queue->is_done(use.value); };
  return !block.uses || std::all_of(block.uses->begin(), block.uses->end(), is_done);
}

// Whether what the queue enqueues from now on comes after all commands that use the block.
bool BlockPool::may_have(const Block& block, const CommandQueue* home) const {
  if (!own_) return true;
  if (block.home != home && !home_of(block).is_done(block.freed_at)) return false;
  const CommandQueue* const queue = home ? home : own_;
  const auto is_before = [&](const QueueUse& use) { return use.queue == queue || use.queue->is_done(use.value); };
  return !block.uses || std::all_of(block.uses->begin(), block.uses->end(), is_before);
}

// Moves the newest block that the queue may have to the end; one of its own if there is one.
bool BlockPool::move_to_end(std::vector<Block*>& list, const CommandQueue* home) const {
  const auto is_own = [&](const Block* block) { return block->home == home && !block->uses; };
  auto found = std::find_if(list.rbegin(), list.rend(), is_own);
  if (found == list.rend()) {
    found = std::find_if(list.rbegin(), list.rend(), [&](const Block* block) { return may_have(*block, home); });
  }
  if (found == list.rend()) return false;
  std::rotate(std::prev(found.base()), found.base(), list.end());
  return true;
}

bool BlockPool::can_merge(const Block& a, const Block& b) const {
  if (!own_) return true;
  const bool of_one_queue = a.home == b.home && !a.uses && !b.uses;
  return of_one_queue || (is_quiet(a) && is_quiet(b));
}

void BlockPool::give_to(Block& block, CommandQueue* home) const {
  const CommandQueue* const queue = home ? home : own_;
  std::uint64_t last = block.home == home ? block.freed_at : 0;
  if (block.uses) {
    for (const QueueUse& use : *block.uses) {
      if (use.queue == queue) last = std::max(last, use.value);
    }
  }
  block.home = home;
  block.freed_at = last;
  block.uses.reset();
}

std::uint64_t BlockPool::largest_cached() const {
  std::uint64_t largest = 0;
  for_each_block([&](const Block& block) {
    if (is_free(&block)) largest = std::max(largest, block.bytes);
  });
  return largest;
}

void BlockPool::for_each_block(const std::function<void(const Block&)>& visit) const {
  for (const auto& segment : segments_) {
    for (const Block* block = segment->first; block; block = block->next) visit(*block);
  }
}

}  // namespace lockstep
