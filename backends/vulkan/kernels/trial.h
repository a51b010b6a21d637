// Tests whether a pipeline that fuses products and sums keeps denormal numbers (backends/gpu/kernels/product_trial.h).
#pragma once

#include <functional>

#include "backends/gpu/kernels/product_trial.h"
#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

struct ProductPartition;

/// What computes one tile: the pipeline, and the addresses of the operands and the result, which follow each other.
struct TrialRun {
  Plan& plan;
  const ProductPartition& partition;
  const Pipeline& pipeline;
  VkDeviceAddress left, right, result;
};

/// The product of a trial, in f32.
struct TrialProduct {
  gpu::ProductStrides strides;
  std::function<void(const TrialRun&)> plan;
};

/// Whether the pipeline computes the product of one tile exactly. `partition` is that of the product for which the
/// pipeline was made. The option `vulkan.hide=fusedProducts` makes every trial fail. Throws Failure.
bool passes_trial(lks_device& device, const Pipeline& pipeline, const ProductPartition& partition,
                  const TrialProduct& product);

}  // namespace vulkan
