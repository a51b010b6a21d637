// The two inner loops of reductions: along a run of elements into one accumulator, and over rows into an array of
// accumulators. The order in which elements are joined depends only on their number.
#pragma once

#include <cstdint>

namespace cpu {

/// Independent accumulators of a run: enough to hide the latency of an addition and to fill vectors of any width.
constexpr int run_lanes = 32;

/// Joins x[0], x[step] … x[(n-1)·step].
template <class R, class T>
typename R::Acc accumulate_run(const T* x, std::int64_t n, std::int64_t step) {
  using Acc = typename R::Acc;
  std::int64_t i = 0;
  Acc total = R::empty;
  if (n < run_lanes) {
    for (; i < n; ++i) total = R::join(total, R::lift(x[i * step]));
    return total;
  }
  Acc lanes[run_lanes];
  for (Acc& lane : lanes) lane = R::empty;
  if (step == 1) {
    for (; i + run_lanes <= n; i += run_lanes) {
      for (int l = 0; l < run_lanes; ++l) lanes[l] = R::join(lanes[l], R::lift(x[i + l]));
    }
  } else {
    for (; i + run_lanes <= n; i += run_lanes) {
      for (int l = 0; l < run_lanes; ++l) lanes[l] = R::join(lanes[l], R::lift(x[(i + l) * step]));
    }
  }
  for (int width = run_lanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lanes[l] = R::join(lanes[l], lanes[l + width]);
  }
  total = lanes[0];
  for (; i < n; ++i) total = R::join(total, R::lift(x[i * step]));
  return total;
}

/// Joins accumulators in the order of the calls, as a balanced tree: the round-off of a sum grows with the logarithm of
/// their number.
template <class R>
class Tree {
 public:
  using Acc = typename R::Acc;

  void add(Acc value) {
    for (std::uint64_t full = count_++; full & 1; full >>= 1) value = R::join(stack_[--depth_], value);
    stack_[depth_++] = value;
  }
  Acc total() {
    Acc value = R::empty;
    while (depth_ > 0) value = R::join(stack_[--depth_], value);
    return value;
  }

 private:
  Acc stack_[64];
  int depth_ = 0;
  std::uint64_t count_ = 0;
};

/// Joins rows of `columns` elements into acc[0 … columns).
template <class R, class T>
void accumulate_rows(typename R::Acc* acc, const T* x, std::int64_t rows, std::int64_t row_step, std::int64_t columns) {
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T *a = x + r * row_step, *b = a + row_step, *c = b + row_step, *d = c + row_step;
#pragma GCC ivdep
    for (std::int64_t j = 0; j < columns; ++j) {
      const auto ab = R::join(R::lift(a[j]), R::lift(b[j])), cd = R::join(R::lift(c[j]), R::lift(d[j]));
      acc[j] = R::join(acc[j], R::join(ab, cd));
    }
  }
  for (; r < rows; ++r) {
    const T* a = x + r * row_step;
#pragma GCC ivdep
    for (std::int64_t j = 0; j < columns; ++j) acc[j] = R::join(acc[j], R::lift(a[j]));
  }
}

/// Joins rows whose columns are not contiguous, one row at a time.
template <class R, class T>
void accumulate_spread_rows(typename R::Acc* acc, const T* x, std::int64_t rows, std::int64_t row_step,
                            std::int64_t columns, std::int64_t column_step) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* a = x + r * row_step;
#pragma GCC ivdep
    for (std::int64_t j = 0; j < columns; ++j) acc[j] = R::join(acc[j], R::lift(a[j * column_step]));
  }
}

}  // namespace cpu
