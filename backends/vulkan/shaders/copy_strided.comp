#version 460
// Copies the elements of a strided tensor, in row-major order, to another strided tensor. Elements are UNITS of memory.
#include "common.glsl"
#include "strided.glsl"

layout(local_size_x = 256) in;

// kernels/copy.cpp
struct Params {
  UNITS to;
  UNITS from;
  uint64_t count;
  int64_t rank;
  uint64_t extents[8];
};
PUSHED_PARAMS(Params)
// In memory follow the strides.
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer WithStrides {
  Params before;
  int64_t to[8];
  int64_t from[8];
};

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  WithStrides strides = WithStrides(push.params);
  const uint64_t item = ITEM_NUMBER;
  if (item >= p.count) return;
  uint64_t rest = item;
  int64_t to = 0, from = 0;
  for (int d = int(p.rank) - 1; d > 0; --d) {
    const int64_t k = int64_t(take_digit(rest, p.extents[d]));
    to += k * strides.to[d];
    from += k * strides.from[d];
  }
  to += int64_t(rest) * strides.to[0];
  from += int64_t(rest) * strides.from[0];
  (p.to + uint64_t(to)).v = (p.from + uint64_t(from)).v;  // glslang 12 crashes without the casts
}
