// Convolution sum by sum, leaving padding out: for operands with infinities or NaN, where the zeros that a matrix
// product puts in place of padding would make NaN. Slow, and hardly ever used.
#pragma once

#include "backends/cpu/conv/patches.h"

namespace cpu {

template <class T>
bool all_finite(const T* values, std::int64_t count) {
  T sum = 0;  // of zeros; NaN if one value is not finite
  for (std::int64_t i = 0; i < count; ++i) sum += values[i] - values[i];
  return sum == 0;
}

/// Dense tensors of a convolution, and which group is meant.
template <class T>
struct DirectConv {
  const ConvShape& s;
  T *image, *filter, *result;
  const T* bias;  // or nullptr
  std::int64_t group;

  std::int64_t channels() const { return s.channels_per_group(); }
  std::int64_t filters() const { return s.filters_per_group(); }
  std::int64_t size() const { return s.kernel_height * s.kernel_width * channels(); }
  T* first_filter() const { return filter + group * filters() * size(); }

  void forward() const {
    const Patches<T> patches(s, image, group, false);
    for (std::int64_t row = 0; row < s.batch * s.out_height * s.out_width; ++row) {
      for (std::int64_t o = 0; o < filters(); ++o) {
        const T* weights = first_filter() + o * size();
        T total = 0;
        patches.read(row, 0, size(), [&](std::int64_t place, const T* from, std::int64_t count) {
          for (std::int64_t i = 0; from && i < count; ++i) total += from[i] * weights[place + i];
        });
        const std::int64_t to = group * filters() + o;
        result[row * s.filters + to] = bias ? total + bias[to] : total;
      }
    }
  }

  void backward_input() const {
    const Patches<T> patches(s, result, group, true);
    const std::int64_t depth = s.kernel_height * s.kernel_width * filters();
    for (std::int64_t row = 0; row < s.batch * s.height * s.width; ++row) {
      for (std::int64_t c = 0; c < channels(); ++c) {
        T total = 0;
        patches.read(row, 0, depth, [&](std::int64_t place, const T* from, std::int64_t count) {
          const T* weights = first_filter() + place / filters() * channels() + c;  // of the tap
          for (std::int64_t i = 0; from && i < count; ++i) total += from[i] * weights[(place % filters() + i) * size()];
        });
        image[row * s.channels + group * channels() + c] = total;
      }
    }
  }

  void backward_filter() const {
    const Patches<T> patches(s, image, group, false);
    std::fill_n(first_filter(), filters() * size(), T{0});
    for (std::int64_t row = 0; row < s.batch * s.out_height * s.out_width; ++row) {
      const T* from_result = result + row * s.filters + group * filters();
      patches.read(row, 0, size(), [&](std::int64_t place, const T* from, std::int64_t count) {
        for (std::int64_t o = 0; from && o < filters(); ++o) {
          T* const sums = first_filter() + o * size() + place;
          for (std::int64_t i = 0; i < count; ++i) sums[i] += from_result[o] * from[i];
        }
      });
    }
  }
};

}  // namespace cpu
