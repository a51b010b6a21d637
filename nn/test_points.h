// A small data set for tests of training.
#pragma once

#include <cstdint>
#include <vector>

#include "lockstep/data.h"
#include "lockstep/ops.h"

namespace lockstep::nn {

/// Points of the plane, f32 (2), in three classes that are linearly separable.
inline data::Dataset points(std::int64_t n, std::uint64_t seed = 1) {
  const Tensor x = random_uniform({n, 2}, -1, 1, {.key = RandomKey{seed, 0}});
  const std::vector<float> xy = x.to_vector<float>();
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    labels.push_back(xy[2 * i] + xy[2 * i + 1] > 0.4f ? 0 : xy[2 * i] > xy[2 * i + 1] ? 1 : 2);
  }
  return data::Dataset::from_tensors(x, Tensor(labels, {n}));
}

}  // namespace lockstep::nn
