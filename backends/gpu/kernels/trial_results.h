// The results of trials of single kernels (product_trial.h). Each compiled kernel is tried, because a compiler that may
// keep or flush denormals can do either from one kernel to the next.
#pragma once

#include <map>
#include <optional>

#include "api/internal/mutex.h"

namespace gpu {

/// Free-threaded. What was tried is known by its address.
class TrialResults {
 public:
  /// Whether the kernel has passed its trial; nullopt if it has not been tried yet.
  std::optional<bool> outcome(const void* kernel) {
    const lockstep::LockGuard lock(mutex_);
    const auto known = outcomes_.find(kernel);
    return known != outcomes_.end() ? std::optional(known->second) : std::nullopt;
  }
  /// Stores an outcome. False if another thread has stored one already.
  bool note(const void* kernel, bool passed) {
    const lockstep::LockGuard lock(mutex_);
    return outcomes_.emplace(kernel, passed).second;
  }

 private:
  lockstep::Mutex mutex_;
  std::map<const void*, bool> outcomes_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace gpu
