// Rewrites shaders that use f16 matrices with NVIDIA's extension (shaders/product_matrices.glsl says why they do).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vulkan {

/// A module that uses SPV_NV_cooperative_matrix, rewritten for SPV_KHR_cooperative_matrix: matrices of f16 become
/// matrices of bf16 (SPV_KHR_bfloat16), and matrices of 8 columns get 16. Other modules are returned unchanged.
std::vector<std::uint32_t> with_khronos_matrices(std::span<const std::uint32_t> module);

}  // namespace vulkan
