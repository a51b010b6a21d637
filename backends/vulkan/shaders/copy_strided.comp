#version 460
// Copies the elements of a strided tensor, in row-major order, to another strided tensor. Elements are UNITS of memory.
#include "common.glsl"
#include "strided.glsl"

layout(local_size_x = 256) in;

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  UNITS to;
  UNITS from;
  uint64_t count;
  int64_t rank;
  uint64_t extents[8];
  int64_t to_strides[8];
  int64_t from_strides[8];
};

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  const uint64_t item = ITEM_NUMBER;
  if (item >= p.count) return;
  uint64_t rest = item;
  int64_t to = 0, from = 0;
  for (int d = int(p.rank) - 1; d > 0; --d) {
    const int64_t k = int64_t(take_digit(rest, p.extents[d]));
    to += k * p.to_strides[d];
    from += k * p.from_strides[d];
  }
  to += int64_t(rest) * p.to_strides[0];
  from += int64_t(rest) * p.from_strides[0];
  (p.to + uint64_t(to)).v = (p.from + uint64_t(from)).v;  // glslang 12 crashes without the casts
}
