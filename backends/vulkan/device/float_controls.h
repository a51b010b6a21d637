// How a shader's floating-point arithmetic behaves is a matter of execution modes, which GLSL has no words for and
// which devices offer to different degrees: they are written into the SPIR-V when a pipeline is made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backends/vulkan/device/facts.h"

namespace vulkan {

/// The module with the execution modes that the device offers of these: rounding to nearest even, denormals kept, and
/// signs of zero, infinities and NaN kept; for f32, and for f64 where the module uses it.
std::vector<std::uint32_t> with_float_controls(std::span<const std::uint32_t> module, const Facts& facts);

}  // namespace vulkan
