// Row access for the softmax kernels: in chunks that stay in the L1 cache, for any strides.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cpu/reduce/accumulate.h"
#include "backends/cpu/reduce/combine.h"
#include "backends/cpu/reduce/lane_sum.h"
#include "backends/cpu/scalar_functions.h"
#include "backends/host/tensor_view.h"

namespace cpu {

/// Elements in a chunk, and in a buffer for a chunk and the elements that may be read past its end.
constexpr std::int64_t row_chunk = 2048, row_room = row_chunk + sum_lanes;

inline float exp_of(float x) { return exp_f32(x); }
inline double exp_of(double x) { return exp_f64(x); }
inline float log_of(float x) { return log_f32(x); }
inline double log_of(double x) { return log_f64(x); }

/// A tensor as rows along its last dimension.
struct Rows {
  char* data;
  std::int64_t count = 1, extent = 1, step = 1;  // step along a row, in elements
  const host::TensorView view;
  bool even = true;           // the distance between rows is constant
  std::int64_t row_step = 0;  // that distance, in elements

  explicit Rows(const host::TensorView& tensor) : data(tensor.data), view(tensor) {
    const int last = tensor.rank - 1;
    extent = tensor.dims[last];
    step = tensor.strides[last];
    for (int d = last - 1; d >= 0; --d) {
      if (tensor.dims[d] == 1) continue;
      if (count == 1) row_step = tensor.strides[d];
      even = even && tensor.strides[d] == count * row_step;
      count *= tensor.dims[d];
    }
  }
  /// The offset of row n, in elements.
  std::int64_t offset(std::int64_t n) const { return offset_of(view, view.rank - 1, n); }

  /// The offset of the n-th position in the first `rank` dimensions of a tensor.
  static std::int64_t offset_of(const host::TensorView& tensor, int rank, std::int64_t n) {
    std::int64_t at = 0;
    for (int d = rank - 1; d > 0; --d) {
      at += n % tensor.dims[d] * tensor.strides[d];
      n /= tensor.dims[d];
    }
    return rank > 0 ? at + n * tensor.strides[0] : 0;
  }
};

/// The values that normalise the exponentials of a row to a sum of one: the largest element, and the sum of exp(x -
/// largest).
template <class T>
struct RowScale {
  T largest, total;
};

template <class T>
T largest_of(const T* x, std::int64_t n, std::int64_t step) {
  return MaxOf<T>::finish(accumulate_run<MaxOf<T>>(x, n, step));
}

/// to[i] = exp(x[i] - largest).
template <class T>
void exponentials(T* to, const T* x, std::int64_t n, std::int64_t step, T largest) {
  if (step == 1) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) to[i] = exp_of(x[i] - largest);
    return;
  }
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) to[i] = x[i * step] - largest;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) to[i] = exp_of(to[i]);
}

/// The scale of one row. Calls `visit(first, n, values)` with the exponentials of each chunk. Sum is DoubleSum or
/// LaneSum.
template <template <class> class Sum, class T, class Visit>
RowScale<T> scale_of_row(const T* x, std::int64_t extent, std::int64_t step, Visit&& visit) {
  const T largest = largest_of(x, extent, step);
  Sum<T> total;
  T chunk[row_chunk];
  for (std::int64_t i = 0; i < extent; i += row_chunk) {
    const std::int64_t n = std::min(row_chunk, extent - i);
    exponentials(chunk, x + i * step, n, step, largest);
    total.add(chunk, n);
    visit(i, n, chunk);
  }
  return {largest, total.total()};
}

/// results[r] = the reduction R of row r. Rows too short to fill the lanes are reduced together, vectorised across
/// rows.
template <class R, class T>
void reduce_rows(T* results, const T* x, std::int64_t n, std::int64_t row_step, std::int64_t extent,
                 std::int64_t step) {
  if (extent >= run_lanes || n == 1) {
    for (std::int64_t r = 0; r < n; ++r) results[r] = R::finish(accumulate_run<R>(x + r * row_step, extent, step));
    return;
  }
  constexpr std::int64_t block = 256;
  typename R::Acc acc[block];
  for (std::int64_t first = 0; first < n; first += block) {
    const std::int64_t rows = std::min(block, n - first);
    std::fill_n(acc, rows, R::empty);
    accumulate_spread_rows<R>(acc, x + first * row_step, extent, step, rows, row_step);
    for (std::int64_t r = 0; r < rows; ++r) results[first + r] = R::finish(acc[r]);
  }
}

/// The sum of a row's chunks in double, for strict mode. LaneSum is its counterpart in lockstep mode.
template <class T>
class DoubleSum {
 public:
  void add(const T* x, std::int64_t n) { tree_.add(accumulate_run<SumOf<T>>(x, n, 1)); }
  T total() { return SumOf<T>::finish(tree_.total()); }
  static void of_rows(T* results, const T* x, std::int64_t n, std::int64_t extent) {
    reduce_rows<SumOf<T>>(results, x, n, extent, extent, 1);
  }

 private:
  Tree<SumOf<T>> tree_;
};

/// Scales of several short rows at once. `values` has room for row_room elements and receives the exponentials, row
/// after row. One loop computes the exponentials of all rows, because a row of ten elements could not fill the vectors.
template <template <class> class Sum, class T>
void scales_of_short_rows(const Rows& rows, std::int64_t first, std::int64_t n, T* values, RowScale<T>* scales) {
  const T* data = reinterpret_cast<const T*>(rows.data);
  const std::int64_t extent = rows.extent, step = rows.step;
  T results[row_chunk];
  if (rows.even) {
    reduce_rows<MaxOf<T>>(results, data + rows.offset(first), n, rows.row_step, extent, step);
  } else {
    for (std::int64_t r = 0; r < n; ++r) results[r] = largest_of(data + rows.offset(first + r), extent, step);
  }
  for (std::int64_t r = 0; r < n; ++r) {
    const T* x = data + rows.offset(first + r);
    T* to = values + r * extent;
    const T largest = scales[r].largest = results[r];
    for (std::int64_t i = 0; i < extent; ++i) to[i] = x[i * step] - largest;
  }
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n * extent; ++i) values[i] = exp_of(values[i]);
  Sum<T>::of_rows(results, values, n, extent);
  for (std::int64_t r = 0; r < n; ++r) scales[r].total = results[r];
}

}  // namespace cpu
