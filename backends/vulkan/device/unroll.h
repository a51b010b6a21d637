// Loops that the Vulkan driver is to unroll; shaders/common.glsl says why they are not marked so from the start.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vulkan {

/// The module with its marked loops (LoopControl DependencyInfinite) as loops to unroll.
std::vector<std::uint32_t> with_unrolling(std::span<const std::uint32_t> module);

}  // namespace vulkan
