// The caching pool: cuts segments into blocks and keeps freed ones for reuse, so that steady work never asks the
// driver.
//
// Freed blocks first wait, unmerged, in a list of their size class, because the next step of a training loop asks for
// the same sizes again. Only when no list can serve a request are they merged with their free neighbours and searched
// by best fit; only when that fails too does the pool grow. Small and large requests use separate segments, so that a
// small long-lived block cannot pin a large segment.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "runtime/memory/segment_source.h"

namespace lockstep {

class BlockPool {
 public:
  static constexpr std::uint64_t granularity = 64;  // at least; a device's alignment may be larger
  static constexpr std::uint64_t small_limit = 512 * 1024;
  static constexpr std::uint64_t small_segment = 2 * 1024 * 1024;
  static constexpr std::uint64_t most_compact = 1024 * 1024 * 1024;  // of one segment where memory is short

  /// `wait_idle` is called before memory returns to the driver. Blocks lie at multiples of `alignment`, a power of two,
  /// in their segments.
  BlockPool(SegmentSource& source, DeviceState* device, std::function<void()> wait_idle,
            std::uint64_t alignment = granularity);
  ~BlockPool();

  /// The size that a request of `bytes` occupies where blocks lie at multiples of `alignment`, a power of two.
  static std::uint64_t rounded(std::uint64_t bytes, std::uint64_t alignment = granularity);

  /// A block that is in use until `free`, or nullptr; `failure` then says why.
  Block* allocate(std::uint64_t bytes, SegmentResult& failure);
  void free(Block* block);

  /// Returns wholly free segments to the source.
  void release_cached();

  /// For when memory is short: every request first waits until nothing is in flight, and takes the smallest hole that
  /// holds it, wherever that lies; a new segment takes all that the limit leaves. Slower, but whether requests fit then
  /// depends on their order alone, not on when commands end.
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
  struct Half {                              // the small or the large requests
    std::vector<std::vector<Block*>> exact;  // by size class
    std::set<Block*, BySize> merged;
    std::size_t exact_count = 0;
  };

  static bool is_large(std::uint64_t bytes) { return bytes > small_limit; }
  Half& half_for(std::uint64_t bytes) { return halves_[is_large(bytes) ? 1 : 0]; }
  Half& half_of(const Block& block) { return halves_[block.segment->large ? 1 : 0]; }
  Block* take_exact(std::uint64_t bytes);
  Block* take_best_fit(std::uint64_t bytes) { return take_best_fit(bytes, half_for(bytes)); }
  Block* take_best_fit(std::uint64_t bytes, Half& half);
  Block* take_compact(std::uint64_t bytes);
  std::uint64_t segment_for(std::uint64_t bytes) const;
  Block* grow(std::uint64_t bytes, SegmentResult& failure);
  Block* add_segment(std::uint64_t bytes, bool large, SegmentResult& failure);
  void split(Block* block, std::uint64_t bytes);
  Block* merge_with_neighbours(Block* block);
  void merge_exact_lists();

  SegmentSource& source_;
  DeviceState* device_;
  std::function<void()> wait_idle_;
  std::uint64_t alignment_;
  Half halves_[2];
  std::vector<std::unique_ptr<Segment>> segments_;
  std::uint64_t reserved_ = 0;
  std::uint64_t growths_ = 0;
  bool compact_ = false;
};

}  // namespace lockstep
