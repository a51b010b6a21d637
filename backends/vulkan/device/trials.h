// What was found out about single pipelines: a compiler that may treat a number in either way does so as it likes, in
// one shader and not in another.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "backends/vulkan/device/pipelines.h"

namespace vulkan {

/// Free-threaded.
class Trials {
 public:
  /// Whether the pipeline passes its trial, which runs the first time that it is asked about. What it throws goes on,
  /// and the pipeline is tried again.
  bool passes(const Pipeline& pipeline, const std::function<bool()>& trial) {
    const std::lock_guard lock(mutex_);
    if (const auto known = outcomes_.find(&pipeline); known != outcomes_.end()) return known->second;
    return outcomes_[&pipeline] = trial();
  }

 private:
  std::mutex mutex_;
  std::map<const Pipeline*, bool> outcomes_;
};

}  // namespace vulkan
