// Execution modes for a shader's floating-point arithmetic. GLSL cannot express them, and devices offer different ones,
// so they are written into the SPIR-V when a pipeline is made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backends/vulkan/device/properties.h"

namespace vulkan {

/// The module with those of the following execution modes that the device offers: rounding to nearest even; denormals
/// preserved; signs of zero, infinities and NaN preserved. For f32, and for f64 if the module uses it.
std::vector<std::uint32_t> with_float_controls(std::span<const std::uint32_t> module,
                                               const DeviceProperties& properties);

}  // namespace vulkan
