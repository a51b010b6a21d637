// Marks the loops that the Vulkan driver is to unroll; shaders/common.glsl says why shaders have another mark at first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vulkan {

/// The module with LoopControl Unroll in place of DependencyInfinite.
std::vector<std::uint32_t> with_unrolling(std::span<const std::uint32_t> module);

}  // namespace vulkan
