#version 460
// A matrix product, by the algorithm that the variant's define selects.
#ifdef BY_MATRICES
#pragma use_vulkan_memory_model
#endif
#include "common.glsl"
#include "tiling.glsl"
const bool may_lack_terms = false;
#include "matmul_operands.glsl"
#include "product_tile.glsl"
#include "product.glsl"
