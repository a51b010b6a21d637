// The sums of lockstep mode (docs/lockstep_mode.md). Within a chunk, terms are assigned to lanes in turn; the lanes are
// joined by halving, and the chunks pairwise.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "backends/cpu/lockstep.h"

namespace cpu {

constexpr int sum_lanes = 32;

/// Joins the lanes, rows of `width` sums, by halving. Only the first `used` lanes are read; the others count as zeros.
/// The first row receives the sums.
template <class T>
void halve_lanes(T* lanes, std::int64_t used, std::int64_t width) {
  for (std::int64_t half = sum_lanes / 2; half > 0; half /= 2) {
    const std::int64_t count = std::min(used - half, half) * width;
    T* const upper = lanes + half * width;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < count; ++i) lanes[i] = lanes[i] + upper[i];
    used = std::min(used, half);
  }
}

/// The sum of the n terms of one chunk, which are contiguous.
template <class T>
T lane_sum(const T* x, std::int64_t n) {
  T lanes[sum_lanes] = {};
  std::int64_t i = 0;
  for (; i + sum_lanes <= n; i += sum_lanes) {
    for (int l = 0; l < sum_lanes; ++l) lanes[l] = lanes[l] + x[i + l];
  }
  for (std::int64_t l = 0; i + l < n; ++l) lanes[l] = lanes[l] + x[i + l];
  for (int half = sum_lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] = lanes[l] + lanes[l + half];
  }
  return lanes[0];
}

/// Keeps the first `extent` lanes and replaces the others by zeros.
template <class T>
class LaneMask {
 public:
  explicit LaneMask(std::int64_t extent) {
    for (int l = 0; l < sum_lanes; ++l) bits_[l] = l < extent ? ~Bits{0} : Bits{0};
  }
  T keep(T x, int lane) const { return std::bit_cast<T>(std::bit_cast<Bits>(x) & bits_[lane]); }

 private:
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  Bits bits_[sum_lanes];
};

/// The sum of a row of at most `lanes` terms. Reads `lanes` elements in any case; `mask` discards those beyond the row.
template <int lanes, class T>
T short_lane_sum(const T* x, const LaneMask<T>& mask) {
  T sums[lanes];
  for (int l = 0; l < lanes; ++l) sums[l] = T{0} + mask.keep(x[l], l);
#pragma GCC unroll 5
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) sums[l] = sums[l] + sums[l + half];
  }
  return sums[0];
}

/// A sum of terms that are added in runs. All runs except the last consist of whole chunks.
template <class T>
class LaneSum {
 public:
  void add(const T* x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += lane_chunk) {
      const T partial = lane_sum(x + i, std::min(lane_chunk, n - i));
      chunks_.add(&partial);
    }
  }
  T total() { return *chunks_.total(); }

  /// results[r] = the sum of row r of `extent` elements. Up to sum_lanes elements past the last row may be read.
  static void of_rows(T* results, const T* x, std::int64_t n, std::int64_t extent) {
    if (extent <= 8) return of_short_rows<8>(results, x, n, extent);
    if (extent <= 16) return of_short_rows<16>(results, x, n, extent);
    if (extent <= 32) return of_short_rows<32>(results, x, n, extent);
    for (std::int64_t r = 0; r < n; ++r) {
      if (extent <= lane_chunk) {
        results[r] = lane_sum(x + r * extent, extent);
      } else {
        LaneSum sum;
        sum.add(x + r * extent, extent);
        results[r] = sum.total();
      }
    }
  }

 private:
  template <int lanes>
  static void of_short_rows(T* results, const T* x, std::int64_t n, std::int64_t extent) {
    const LaneMask<T> mask(extent);
    for (std::int64_t r = 0; r < n; ++r) results[r] = short_lane_sum<lanes>(x + r * extent, mask);
  }

  PairwiseRuns<T, 1> chunks_;
};

}  // namespace cpu
