// Tests whether a pipeline that fuses products and sums keeps denormal numbers, by a small product whose exact sums
// follow from integer arithmetic.
#pragma once

#include <functional>

#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

struct ProductPartition;

/// The strides of a matrix product's operands and result, in elements. Only every `row_step`th row of the result has
/// terms.
struct ProductStrides {
  std::int64_t left_row, left_position, right_position, right_column, result_row, result_column, row_step = 1;
};

/// What computes one tile: the pipeline, and the addresses of the operands and the result, which follow each other.
struct TrialRun {
  Plan& plan;
  const ProductPartition& partition;
  const Pipeline& pipeline;
  VkDeviceAddress left, right, result;
};

/// The product of a trial, in f32.
struct TrialProduct {
  ProductStrides strides;
  std::function<void(const TrialRun&)> plan;
};

constexpr std::int64_t trial_depth = 40;  // positions of the sums

/// Whether the pipeline computes the product of one tile exactly. `partition` is that of the product for which the
/// pipeline was made. The option `vulkan.hide=fusedProducts` makes every trial fail. Throws Failure.
bool passes_trial(lks_device& device, const Pipeline& pipeline, const ProductPartition& partition,
                  const TrialProduct& product);

}  // namespace vulkan
