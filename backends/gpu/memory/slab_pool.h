// Small buffers are ranges of larger allocations, the slabs: native allocations are slow, and a device may limit their
// number.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "api/internal/mutex.h"
#include "backends/gpu/memory/free_ranges.h"
#include "backends/gpu/memory/memory_source.h"

namespace gpu {

/// The alignment of every buffer's address.
constexpr std::uint64_t buffer_alignment = 256;
/// Longer buffers get an allocation of their own.
constexpr std::uint64_t max_from_slab = std::uint64_t{1} << 20;

template <class Allocation>
struct Slab {
  Allocation allocation;
  FreeRanges free_ranges;

  explicit Slab(const Allocation& a) : allocation(a), free_ranges(a.bytes) {}
};

/// Free-threaded.
template <class Allocation>
class SlabPool {
 public:
  struct Range {
    Slab<Allocation>* slab;
    std::uint64_t start;  // offset in the slab
  };

  /// `heap_bytes`: the size of the device's memory, of which a slab takes only a small part.
  SlabPool(MemorySource<Allocation> source, std::uint64_t heap_bytes)
      : source_(std::move(source)), usual_bytes_(std::min(std::uint64_t{8} << 20, heap_bytes / 16)) {}
  ~SlabPool() {
    for (const auto& slab : slabs_) source_.free(slab->allocation);
  }
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  /// Throws Failure of LKS_OUT_OF_MEMORY.
  Range take(std::uint64_t bytes) {
    const std::uint64_t whole = rounded_up(bytes);
    {
      const lockstep::LockGuard lock(mutex_);
      for (const auto& slab : slabs_) {
        if (const auto start = slab->free_ranges.take(whole)) return {slab.get(), *start};
      }
    }
    // Without the lock, because the source calls the host's fault points.
    auto slab = std::make_unique<Slab<Allocation>>(source_.make(std::max(usual_bytes_, whole)));
    const Range range{slab.get(), slab->free_ranges.take(whole).value()};
    const lockstep::LockGuard lock(mutex_);
    slabs_.push_back(std::move(slab));
    return range;
  }

  /// `bytes`: as they were asked for.
  void give_back(const Range& range, std::uint64_t bytes) {
    const lockstep::LockGuard lock(mutex_);
    range.slab->free_ranges.give_back(range.start, rounded_up(bytes));
    if (!range.slab->free_ranges.all_free()) return;
    source_.free(range.slab->allocation);
    std::erase_if(slabs_, [&](const auto& s) { return s.get() == range.slab; });
  }

 private:
  static std::uint64_t rounded_up(std::uint64_t bytes) {
    return (bytes + buffer_alignment - 1) / buffer_alignment * buffer_alignment;
  }

  const MemorySource<Allocation> source_;
  const std::uint64_t usual_bytes_;
  lockstep::Mutex mutex_;
  std::vector<std::unique_ptr<Slab<Allocation>>> slabs_ LOCKSTEP_GUARDED_BY(mutex_);  // and their free ranges
};

}  // namespace gpu
