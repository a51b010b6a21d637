// What this process holds: to find drivers that lose a little each time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lockstep::conformance {

struct Footprint {
  std::int64_t heap_bytes = 0;      // given out by malloc; 0 where that cannot be asked
  std::int64_t resident_bytes = 0;  // 0 under a sanitizer, which keeps what was freed
  std::int64_t files = 0;           // open descriptors
  std::int64_t threads = 0;
};
Footprint footprint();

/// Runs `step` many times, in rounds of `steps`, and throws CheckFailed if the process never comes back to what it was
/// three rounds or more ago: in bytes of the heap, but for `bytes_each` per step, resident pages, descriptors and
/// threads. What happens once, such as filling a cache, is no leak, and neither is what a driver collects and then
/// gives back: NVIDIA's (580.159) takes 448 bytes for 40 submissions or so, and frees them all after some 700. A leak
/// that adds up to less than that in three rounds hides behind it, and shows on Vulkan drivers that collect nothing.
///
/// Slow steps make shorter rounds, which notice only larger leaks: with five steps in a round, 6 bytes a step. For
/// that, malloc must not count as in use what threads have freed and keep: workers are started so
/// (suite/supervisor.cpp).
void check_no_growth(const std::string& what, int steps, const std::function<void()>& step, double bytes_each = 1);

}  // namespace lockstep::conformance
