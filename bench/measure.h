// Timing.
#pragma once

#include <functional>
#include <vector>

namespace bench {

using Work = std::function<void()>;  // returns when the work is done

/// Seconds per call: median, fastest and slowest of the repetitions.
struct Timing {
  double median = 0, min = 0, max = 0;
};

/// Warms up, finds how many calls fill a few milliseconds, and times repetitions of that many.
Timing measure(const Work& work);

/// Times two kinds of work in turn, A B A B …; `speed_ratio` is the median of B's time over A's, pair by pair: above 1,
/// A is faster.
struct Pair {
  Timing a, b;
  double speed_ratio = 0;
};
Pair measure_pair(const Work& a, const Work& b);

}  // namespace bench
