// The allocator of a device's memory: it combines sources, pool and tracker behind one lock.
#pragma once

#include <string>
#include <string_view>

#include "api/internal/mutex.h"
#include "lockstep/error.h"
#include "runtime/memory/pool.h"
#include "runtime/memory/purpose.h"
#include "runtime/memory/tracker.h"

namespace lockstep {

class Allocator {
 public:
  Allocator(DeviceState& device, std::shared_ptr<MemoryBudget> budget);

  /// A block of at least `bytes` with one reference, accounted to the thread's MemoryOwner. Throws OutOfMemoryError
  /// LS5001 with the report, or LS5002 if the device can never hold it; DeviceError LS3003, LS3004 or LS3005 if the
  /// driver failed for another reason.
  BlockRef allocate(std::uint64_t bytes, const BlockPurpose& purpose);
  void free(Block* block);

  /// Changes the owner, and the name in reports if one is given.
  void set_owner(Block* block, MemoryOwner owner, const ScopeName* name = nullptr);
  MemoryStats stats();
  void reset_peak();
  void set_limit(std::optional<std::uint64_t> bytes);
  void release_cached();
  void set_poison(bool on) { poison_ = on; }
  /// Nested calls count: compact mode is on until every set_compact(true) is undone. See BlockPool::set_compact.
  void set_compact(bool on);

  /// Called before the device gets its first queue besides its own: from then on, the pool gives a freed block to
  /// another stream only when nothing uses it any more.
  void expect_streams();
  /// Called when nothing is in flight, before the queues are destroyed.
  void forget_streams();

 private:
  [[noreturn]] void fail(std::uint64_t bytes, const SegmentResult& failure, const BlockPurpose& purpose);
  bool wait_idle() LOCKSTEP_REQUIRES(mutex_);

  RecursiveMutex mutex_;  // no thread takes it twice; this is the mutex that costs an eager call least
  DeviceState& device_;
  std::shared_ptr<MemoryBudget> budget_;
  DriverSegments driver_;
  LimitedSegments limited_;
  BlockPool pool_ LOCKSTEP_GUARDED_BY(mutex_);
  MemoryTracker tracker_ LOCKSTEP_GUARDED_BY(mutex_);
  std::atomic<bool> poison_{false};
  int compact_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

/// The contents of the report of an out-of-memory error.
struct MemoryShortage {
  std::uint64_t requested = 0;
  bool by_limit = false;
  MemoryStats stats;
  std::uint64_t device_total = 0;
  std::optional<std::uint64_t> device_free;
  std::vector<std::pair<std::string, std::uint64_t>> largest;  // users of memory, largest first
  std::string driver_text;
};

[[noreturn]] void raise_out_of_memory(const std::string& device, const MemoryShortage& shortage,
                                      const BlockPurpose& purpose);

/// The error of an op for which the host lacks memory for `bytes` of elements. The caller adds the place and the fix,
/// and raises it.
ErrorBuilder host_out_of_memory(std::string_view op, std::uint64_t bytes);

}  // namespace lockstep
