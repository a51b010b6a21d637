// What was found out about single pipelines: a compiler that may treat a number in either way does so as it likes, in
// one shader and not in another.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "backends/vulkan/device/pipelines.h"

namespace vulkan {

/// Free-threaded.
class Trials {
 public:
  /// Whether the pipeline has passed its trial; nullopt: it had none yet.
  std::optional<bool> outcome(const Pipeline& pipeline) {
    const std::lock_guard lock(mutex_);
    const auto known = outcomes_.find(&pipeline);
    return known != outcomes_.end() ? std::optional(known->second) : std::nullopt;
  }
  /// False: another thread was faster.
  bool note(const Pipeline& pipeline, bool passed) {
    const std::lock_guard lock(mutex_);
    return outcomes_.emplace(&pipeline, passed).second;
  }

 private:
  std::mutex mutex_;
  std::map<const Pipeline*, bool> outcomes_;
};

}  // namespace vulkan
