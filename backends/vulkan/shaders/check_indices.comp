#version 460
// Checks indices before anything is written.
#include "common.glsl"

layout(local_size_x = 256) in;

#include "check.glsl"

// kernels/index_check.cpp
struct Params {
  CHECK_FIELDS;
  INDICES indices;
};
PUSHED_PARAMS(Params)

int64_t index_at(Params p, uint64_t at) { return int64_t((p.indices + at).v); }
bool is_outside(Params p, uint64_t at) {
  // The sign is tested before widening: Mesa 22.3 miscompiles comparisons of a widened int with a constant.
  return (p.indices + at).v < 0 || index_at(p, at) >= p.extent;
}

void main() {
  Params p = load_params();
  CHECK_INDICES(p);
}
