// The resources that this process holds, to find small leaks in drivers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lockstep::conformance {

struct Footprint {
  std::int64_t heap_bytes = 0;      // allocated by malloc; 0 if the C library cannot tell
  std::int64_t resident_bytes = 0;  // 0 under a sanitizer, which keeps freed memory
  std::int64_t files = 0;           // open descriptors
  std::int64_t threads = 0;
};
Footprint footprint();

/// Runs `step` many times, in rounds of `steps`. Throws CheckFailed if the process never returns to its footprint of
/// three or more rounds ago in heap bytes (except for `bytes_each` per step), resident pages, descriptors and threads.
/// Growth that happens once, such as filling a cache, is not a leak. Neither is memory that a driver frees later in one
/// batch: NVIDIA's (580.159) allocates 448 bytes about every 40 submissions, and frees them all after about 700. On
/// that driver a leak below that size over three rounds is not found; Vulkan drivers that free at once show it.
///
/// Slow steps make rounds shorter, so that only larger leaks are found: with five steps in a round, 6 bytes a step.
/// This requires that malloc does not count memory in thread caches as allocated; suite/supervisor.cpp starts the
/// workers with such a setting.
void check_no_growth(const std::string& what, int steps, const std::function<void()>& step, double bytes_each = 1);

}  // namespace lockstep::conformance
