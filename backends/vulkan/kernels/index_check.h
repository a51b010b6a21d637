// Indices are looked at before anything is written.
#pragma once

#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

/// The pipeline for indices of a dtype, i32 or i64.
const Pipeline& index_check_pipeline(lks_device& device, lks_dtype indices);

/// A dispatch that fails the command where an element of dense `indices` is outside [0, extent).
void plan_index_check(Plan& plan, const Pipeline& pipeline, const Tensor& indices, std::int64_t extent, int axis);

}  // namespace vulkan
