// Pipelines of pointwise programs: from memory, from the disk cache or from the compiler.
#pragma once

#include "backends/vulkan/device/device.h"
#include "backends/vulkan/pointwise/shader_text.h"

namespace vulkan {

/// Throws Failure.
const Pipeline& compiled_pointwise(lks_device& device, const std::vector<lks_instr>& instrs,
                                   const std::vector<std::uint32_t>& outputs, const PointwiseShape& shape);

}  // namespace vulkan
