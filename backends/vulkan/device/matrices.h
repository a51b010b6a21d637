// Shaders that were written for matrices of f16 by NVIDIA's extension (shaders/product_matrices.glsl says why).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vulkan {

/// A module with SPV_NV_cooperative_matrix as one with SPV_KHR_cooperative_matrix, whose matrices of f16 are of bf16
/// (SPV_KHR_bfloat16) and whose matrices of 8 columns have 16; other modules as they are.
std::vector<std::uint32_t> with_khronos_matrices(std::span<const std::uint32_t> module);

}  // namespace vulkan
