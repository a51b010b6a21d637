// The functions of ops/scalar that built-in shaders call, with the bits that they have everywhere.
#include "dialect.glsl"
#include "scalar/exp.glsl"
#include "scalar/log.glsl"
