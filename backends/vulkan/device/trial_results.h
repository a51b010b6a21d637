// The results of trials of single pipelines (kernels/trial.h). Each pipeline is tried, because a compiler that may keep
// or flush denormals can do either from one shader to the next.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "backends/vulkan/device/pipelines.h"

namespace vulkan {

/// Free-threaded.
class TrialResults {
 public:
  /// Whether the pipeline has passed its trial; nullopt if it has not been tried yet.
  std::optional<bool> outcome(const Pipeline& pipeline) {
    const std::lock_guard lock(mutex_);
    const auto known = outcomes_.find(&pipeline);
    return known != outcomes_.end() ? std::optional(known->second) : std::nullopt;
  }
  /// Stores an outcome. False if another thread has stored one already.
  bool note(const Pipeline& pipeline, bool passed) {
    const std::lock_guard lock(mutex_);
    return outcomes_.emplace(&pipeline, passed).second;
  }

 private:
  std::mutex mutex_;
  std::map<const Pipeline*, bool> outcomes_;
};

}  // namespace vulkan
