#include "bench/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace bench {
namespace {

constexpr double repetition_seconds = 0.02;
constexpr int repetitions = 15;
constexpr double max_seconds = 4;  // per measurement; slow work is repeated fewer times

double seconds_of(const Work& work, int calls) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) work.call();
  if (work.finish) work.finish();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
}

// Returns the number of calls per repetition. The first call is not counted because it prepares kernels. That can take
// longer than a whole repetition, and a repetition would then have only one call and include its wait for the device.
int calibrate(const Work& work) {
  seconds_of(work, 1);
  double once = seconds_of(work, 1);
  int calls = 1;
  while (once * calls < repetition_seconds && calls < (1 << 26)) {
    calls = std::max(calls + 1, static_cast<int>(std::ceil(repetition_seconds / std::max(once, 1e-9))));
    once = seconds_of(work, calls);
  }
  return calls;
}

int repetitions_for(double seconds_per_repetition) {
  return std::clamp(static_cast<int>(max_seconds / std::max(seconds_per_repetition, 1e-9)), 1, repetitions);
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Timing timing_of(const std::vector<double>& seconds) {
  return {median_of(seconds), *std::min_element(seconds.begin(), seconds.end()),
          *std::max_element(seconds.begin(), seconds.end())};
}

}  // namespace

Timing measure(const Work& work) {
  const int calls = calibrate(work);
  std::vector<double> seconds = {seconds_of(work, calls)};
  const int count = repetitions_for(seconds[0] * calls);
  seconds.clear();
  for (int i = 0; i < count; ++i) seconds.push_back(seconds_of(work, calls));
  return timing_of(seconds);
}

Pair measure_pair(const Work& a, const Work& b) {
  const int a_calls = calibrate(a), b_calls = calibrate(b);
  const int count = repetitions_for(seconds_of(a, a_calls) * a_calls + seconds_of(b, b_calls) * b_calls);
  std::vector<double> a_seconds, b_seconds, ratios;
  for (int i = 0; i < count; ++i) {
    a_seconds.push_back(seconds_of(a, a_calls));
    b_seconds.push_back(seconds_of(b, b_calls));
    ratios.push_back(b_seconds.back() / a_seconds.back());
  }
  return {timing_of(a_seconds), timing_of(b_seconds), median_of(ratios)};
}

}  // namespace bench
