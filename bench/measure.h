// Measures time.
#pragma once

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

namespace bench {

/// The work to time. `call` may return before the device has finished; `finish`, if set, waits for all calls.
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

/// Warms up, determines how many calls take a few milliseconds, and times repetitions of that many calls.
Timing measure(const Work& work);

/// Times two kinds of work alternately (A B A B …). `speed_ratio` is the median over pairs of B's time divided by A's
/// time; above 1, A is faster.
struct Pair {
  Timing a, b;
  double speed_ratio = 0;
};
Pair measure_pair(const Work& a, const Work& b);

}  // namespace bench
