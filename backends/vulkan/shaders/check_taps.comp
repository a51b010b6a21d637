#version 460
// Checks taps before max_pool2d_gather writes anything: the positions in the image that they denote must be indices of
// its elements.
#include "common.glsl"

layout(local_size_x = 256) in;

#include "check.glsl"
#define T_F32
#define MORE_PARAMS CHECK_FIELDS;
#include "window.glsl"

int64_t index_at(Params p, uint64_t at) {
  return position_of_tap(p, pixel_of(at, p.pooled_height, p.pooled_width, p.channels), (Ints(p.b) + at).v);
}
bool is_outside(Params p, uint64_t at) {
  const int64_t index = index_at(p, at);
  return (uint(uint64_t(index) >> 32) >> 31) != 0 || index >= p.extent;
}

void main() {
  Params p = load_params();
  CHECK_INDICES(p);
}
