#version 460
// A convolution or one of its gradients, by the algorithm that the variant's define selects.
#ifdef BY_MATRICES
#pragma use_vulkan_memory_model
#endif
#include "common.glsl"
#include "tiling.glsl"
#include "conv_params.glsl"
#include "product_tile.glsl"
#if defined(BY_ELEMENT)
#include "conv_chunk.glsl"
#elif defined(BY_LANES) || defined(BY_BLOCKS) || defined(BY_MATRICES)
layout(constant_id = 1) const bool may_lack_terms = true;
#include "conv_operands.glsl"
#endif
#include "product.glsl"
