#version 460
// A matrix product, in the way that the define of the variant chooses.
#include "common.glsl"
#include "tiling.glsl"
const bool may_lack_terms = false;
#include "matmul_operands.glsl"
#include "product_tile.glsl"
#include "product.glsl"
