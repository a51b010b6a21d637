// Timing.
#pragma once

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

namespace bench {

/// What is timed. `call` may return before a device has done the work; `finish`, where there is one, waits for all
/// calls.
struct Work {
  std::function<void()> call, finish;

  Work() = default;
  template <class F>
  requires std::invocable<F&> Work(F call_now) : call(std::move(call_now)) {}
  Work(std::function<void()> call_now, std::function<void()> finish_all)
      : call(std::move(call_now)), finish(std::move(finish_all)) {}
};

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
