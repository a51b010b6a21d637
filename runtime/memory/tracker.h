// Counts memory by owner.
#pragma once

#include <algorithm>

#include "runtime/memory/block.h"

namespace lockstep {

class MemoryTracker {
 public:
  void add(MemoryOwner owner, std::uint64_t bytes) {
    const auto i = static_cast<std::size_t>(owner);
    stats_.live += bytes;
    stats_.live_by_owner[i] += bytes;
    stats_.peak_live = std::max(stats_.peak_live, stats_.live);
    stats_.peak_by_owner[i] = std::max(stats_.peak_by_owner[i], stats_.live_by_owner[i]);
    ++stats_.allocations;
  }
  void remove(MemoryOwner owner, std::uint64_t bytes) {
    stats_.live -= bytes;
    stats_.live_by_owner[static_cast<std::size_t>(owner)] -= bytes;
  }
  void move(MemoryOwner from, MemoryOwner to, std::uint64_t bytes) {
    remove(from, bytes);
    add(to, bytes);
    --stats_.allocations;
  }
  void note_reserved(std::uint64_t reserved) { stats_.peak_reserved = std::max(stats_.peak_reserved, reserved); }
  void reset_peak(std::uint64_t reserved) {
    stats_.peak_live = stats_.live;
    stats_.peak_by_owner = stats_.live_by_owner;
    stats_.peak_reserved = reserved;
  }
  const MemoryStats& stats() const { return stats_; }

 private:
  MemoryStats stats_;
};

}  // namespace lockstep
