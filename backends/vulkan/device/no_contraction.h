// Nothing that a shader computes in floating point is contracted or reassociated, whatever became of its decorations:
// the loop unrolling of SPIRV-Tools' optimizer drops those of the copies that it makes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vulkan {

/// The module with NoContraction on all its floating-point arithmetic.
std::vector<std::uint32_t> with_no_contraction(std::span<const std::uint32_t> module);

}  // namespace vulkan
