// A memory limit, shared by all devices that are the same physical device.
#pragma once

#include <cstdint>
#include <optional>

#include "api/internal/mutex.h"

namespace lockstep {

class MemoryBudget {
 public:
  /// Reserves `bytes`, or returns false if that would exceed the limit.
  bool take(std::uint64_t bytes) {
    LockGuard lock(mutex_);
    if (limit_ && (bytes > *limit_ || used_ > *limit_ - bytes)) return false;
    used_ += bytes;
    return true;
  }
  void give_back(std::uint64_t bytes) {
    LockGuard lock(mutex_);
    used_ -= bytes;
  }
  void set_limit(std::optional<std::uint64_t> bytes) {
    LockGuard lock(mutex_);
    limit_ = bytes;
  }
  std::optional<std::uint64_t> limit() const {
    LockGuard lock(mutex_);
    return limit_;
  }
  std::uint64_t used() const {
    LockGuard lock(mutex_);
    return used_;
  }

 private:
  mutable Mutex mutex_;
  std::optional<std::uint64_t> limit_ LOCKSTEP_GUARDED_BY(mutex_);
  std::uint64_t used_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

}  // namespace lockstep
