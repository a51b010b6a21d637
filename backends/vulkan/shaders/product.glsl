// Includes the algorithm of a product that the variant's define selects.
#if defined(BY_ELEMENT)
#include "product_simple.glsl"
#elif defined(BY_LANES)
#include "product_lanes.glsl"
#elif defined(BY_SUBGROUPS)
#include "product_subgroups.glsl"
#elif defined(BY_MATRICES)
#include "product_matrices.glsl"
#elif defined(BY_BLOCKS)
#include "product_blocks.glsl"
#else
#include "product_join.glsl"
#endif
