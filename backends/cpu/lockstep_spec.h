// The arithmetic of lockstep mode (docs/lockstep_mode.md) as plain loops, for the tests. It is written from that page
// and shares no code with the kernels.
#pragma once

#include <optional>
#include <vector>

#include "backends/cpu/test_support.h"

namespace lockstep::testing::spec {

/// Joins neighbours until one is left; an odd last one moves up unchanged.
template <class T>
T pairwise(std::vector<T> parts) {
  if (parts.empty()) return T{0};
  while (parts.size() > 1) {
    std::vector<T> joined;
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2) joined.push_back(parts[i] + parts[i + 1]);
    if (parts.size() % 2 == 1) joined.push_back(parts.back());
    parts = joined;
  }
  return parts[0];
}

/// The chain sum of terms in order of position. Absent terms contribute nothing.
template <class T>
T chain_sum(const std::vector<std::optional<T>>& terms) {
  std::vector<T> chunks;
  for (std::size_t begin = 0; begin < terms.size(); begin += 256) {
    T partial = 0;
    for (std::size_t p = begin; p < std::min(begin + 256, terms.size()); ++p) {
      if (terms[p]) partial = partial + *terms[p];
    }
    chunks.push_back(partial);
  }
  return pairwise(chunks);
}

template <class T>
T lane_sum(const std::vector<T>& terms) {
  std::vector<T> chunks;
  for (std::size_t begin = 0; begin < terms.size(); begin += 1024) {
    T lane[32] = {};
    for (std::size_t p = begin; p < std::min(begin + 1024, terms.size()); ++p) lane[p % 32] = lane[p % 32] + terms[p];
    for (int h = 16; h >= 1; h /= 2) {
      for (int l = 0; l < h; ++l) lane[l] = lane[l] + lane[l + h];
    }
    chunks.push_back(lane[0]);
  }
  return pairwise(chunks);
}

/// Calls visit(index) for each index of a tensor of this shape, in row-major order.
template <class Visit>
void for_each_index(const Shape& shape, Visit&& visit) {
  std::vector<std::int64_t> index(static_cast<std::size_t>(shape.rank()), 0);
  for (std::int64_t n = 0; n < shape.size(); ++n) {
    visit(index);
    for (int d = shape.rank() - 1; d >= 0; --d) {
      if (++index[static_cast<std::size_t>(d)] < shape[d]) break;
      index[static_cast<std::size_t>(d)] = 0;
    }
  }
}

template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  return Tensor::from_bytes(values.data(), values.size() * sizeof(T), {DTypeOf<T>::value, shape}, cpu());
}

/// Runs `f` in lockstep mode with one, two and three threads, and expects the bits of `expected` each time.
inline void expect_bits(const std::string& what, const Tensor& expected, const std::function<Tensor()>& f) {
  const DeviceScope device(cpu());
  for (unsigned threads : {1u, 2u, 3u}) {
    set_thread_count(threads);
    const MathModeScope mode(MathMode::lockstep);
    EXPECT_TRUE(same_bits(f(), expected)) << what << ", " << threads << " threads";
  }
  set_thread_count(0);
}

}  // namespace lockstep::testing::spec
