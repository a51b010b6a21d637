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

/// Runs `step` many times and throws CheckFailed if the process grows in nearly every round of `steps`: by more than
/// `bytes_each` bytes of the heap per step, by resident pages, descriptors or threads. What happens once, such as
/// filling a cache, is no leak. Slow steps make shorter rounds, which notice only larger leaks: with five steps in a
/// round, 14 bytes a step. For that, malloc must not count as in use what threads have freed and keep: workers are
/// started so (suite/supervisor.cpp).
void check_no_growth(const std::string& what, int steps, const std::function<void()>& step, double bytes_each = 1);

}  // namespace lockstep::conformance
