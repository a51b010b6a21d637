// A small product of denormal numbers, whose sums integers tell: does a pipeline that fuses keep them?
#pragma once

#include <functional>

#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

struct Cut;

/// Where the elements of a product of matrices lie, in elements. Only every `row_step`th row of the result has terms.
struct ProductStrides {
  std::int64_t left_row, left_position, right_position, right_column, result_row, result_column, row_step = 1;
};

/// One tile, by this pipeline; the addresses of the operands, which lie one after the other.
struct TrialRun {
  Plan& plan;
  const Cut& cut;
  const Pipeline& pipeline;
  VkDeviceAddress left, right, result;
};

/// A product of f32.
struct TrialProduct {
  ProductStrides strides;
  std::function<void(const TrialRun&)> plan;
};

constexpr std::int64_t trial_depth = 40;  // positions of the sums

/// Whether the pipeline computes the product of one tile exactly. `cut`: of the product that it was made for. The
/// option `vulkan.hide=fusedProducts` makes it fail. Throws Failure.
bool passes_trial(lks_device& device, const Pipeline& pipeline, const Cut& cut, const TrialProduct& product);

}  // namespace vulkan
