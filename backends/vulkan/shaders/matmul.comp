#version 460
// A matrix product, in the way that the define of the variant chooses.
#include "common.glsl"
#ifdef BY_LANES
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_vote : require
#endif
#include "tiling.glsl"
const bool may_lack_terms = false;
#include "matmul_operands.glsl"
#include "product.glsl"
