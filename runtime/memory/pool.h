// The caching pool: suballocates blocks from segments and keeps freed blocks for reuse, so that a steady workload
// never allocates from the driver.
//
// A freed block first goes, unmerged, into the free list of its size class, because the next step of a training loop
// requests the same sizes again. If no list can serve a request, all free blocks are merged with their free neighbours
// and searched by best fit. If that fails too, the pool allocates another segment. Small and large requests use
// separate segments, so that a small long-lived block does not keep a large segment in use.
//
// A freed block may still be in use by commands in flight. The queue that it was allocated for may have it at once,
// because that runs its commands in order. Another queue gets it only when the host knows that the commands are done.
// It does not wait for them: their failures would then be its own, and their time too.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "runtime/memory/segment_source.h"

namespace lockstep {

class BlockPool {
 public:
  static constexpr std::uint64_t granularity = 64;  // at least; the device's alignment may be larger
  static constexpr std::uint64_t small_limit = 512 * 1024;
  static constexpr std::uint64_t small_segment = 2 * 1024 * 1024;
  static constexpr std::uint64_t max_compact = 1024 * 1024 * 1024;  // largest segment in compact mode

  /// `wait_idle` is called before memory is returned to the driver, and returns whether nothing is in flight then.
  /// While it waits, other functions of the pool may be called. Blocks start at multiples of `alignment`, a power of
  /// two, in their segments.
  BlockPool(SegmentSource& source, DeviceState* device, std::function<bool()> wait_idle,
            std::uint64_t alignment = granularity);
  /// Nothing may be in flight.
  ~BlockPool();

  /// The size that a request of `bytes` occupies if blocks start at multiples of `alignment`, a power of two.
  static std::uint64_t rounded(std::uint64_t bytes, std::uint64_t alignment = granularity);

  /// A block for commands of the queue `home` (see Block::home), in use until free(), or nullptr; `failure` then has
  /// the reason.
  Block* allocate(std::uint64_t bytes, SegmentResult& failure, CommandQueue* home = nullptr);
  void free(Block* block);

  /// Called before there is another queue than `own`, the device's.
  void expect_streams(CommandQueue* own);
  /// Called when nothing is in flight: no queue is asked from then on.
  void forget_streams();

  /// Returns segments that are completely free to the source.
  void release_cached();

  /// Compact mode, for when memory is short: every request first waits until nothing is in flight, then takes the
  /// smallest free block that is large enough, in segments of either kind. A new segment takes all that the limit
  /// leaves, up to max_compact. This is slower, but whether requests fit depends only on their order, not on when
  /// commands end.
  void set_compact(bool on) { compact_ = on; }

  std::uint64_t reserved() const { return reserved_; }
  std::uint64_t growths() const { return growths_; }
  std::uint64_t largest_cached() const;
  void for_each_block(const std::function<void(const Block&)>& visit) const;

 private:
  struct BySize {
    using is_transparent = void;
    bool operator()(const Block* a, const Block* b) const { return a->bytes != b->bytes ? a->bytes < b->bytes : a < b; }
    bool operator()(const Block* a, std::uint64_t bytes) const { return a->bytes < bytes; }
    bool operator()(std::uint64_t bytes, const Block* b) const { return bytes < b->bytes; }
  };
  struct FreeBlocks {                        // free blocks for small, or for large requests
    std::vector<std::vector<Block*>> exact;  // by size class
    std::set<Block*, BySize> merged;
    std::size_t exact_count = 0;
  };

  static bool is_large(std::uint64_t bytes) { return bytes > small_limit; }
  FreeBlocks& free_blocks_for(std::uint64_t bytes) { return free_blocks_[is_large(bytes) ? 1 : 0]; }
  FreeBlocks& free_blocks_of(const Block& block) { return free_blocks_[block.segment->large ? 1 : 0]; }
  Block* take_exact(std::uint64_t bytes, CommandQueue* home);
  Block* take_best_fit(std::uint64_t bytes, CommandQueue* home) {
    return take_best_fit(bytes, free_blocks_for(bytes), home);
  }
  Block* take_best_fit(std::uint64_t bytes, FreeBlocks& blocks, CommandQueue* home);
  Block* take_merged(std::uint64_t bytes, CommandQueue* home);
  Block* take_compact(std::uint64_t bytes, CommandQueue* home);
  std::uint64_t segment_for(std::uint64_t bytes) const;
  Block* grow(std::uint64_t bytes, SegmentResult& failure, CommandQueue* home);
  Block* add_segment(std::uint64_t bytes, bool large, SegmentResult& failure);
  void split(Block* block, std::uint64_t bytes);
  static void absorb_next(Block* into);
  Block* merge_with_neighbours(Block* block);
  void merge_exact_lists();
  void return_segments();
  void merge_segments();
  // These are about free blocks.
  CommandQueue& home_of(const Block& block) const { return block.home ? *block.home : *own_; }
  bool is_quiet(const Block& block) const;
  bool may_have(const Block& block, const CommandQueue* home) const;
  bool can_merge(const Block& a, const Block& b) const;
  bool move_to_end(std::vector<Block*>& list, const CommandQueue* home) const;
  void give_to(Block& block, CommandQueue* home) const;

  SegmentSource& source_;
  DeviceState* device_;
  std::function<bool()> wait_idle_;
  std::uint64_t alignment_;
  FreeBlocks free_blocks_[2];
  std::vector<std::unique_ptr<Segment>> segments_;
  std::uint64_t reserved_ = 0;
  std::uint64_t growths_ = 0;
  bool compact_ = false;
  CommandQueue* own_ = nullptr;  // the device's own queue; nullptr as long as it is the only one
};

}  // namespace lockstep
