// The functions of ops/scalar that built-in shaders call; their results are the same on every device.
#include "dialect.glsl"
#include "scalar/exp.glsl"
#include "scalar/log.glsl"
