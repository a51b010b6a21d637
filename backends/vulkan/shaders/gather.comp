#version 460
// Copies slices of a tensor (before, extent, after) at indices along the middle to (before, indices, after), in UNITS
// of memory.
#include "common.glsl"
#include "strided.glsl"

layout(local_size_x = 256) in;

// kernels/index.cpp
struct Params {
  UNITS to;
  UNITS from;
  INDICES indices;
  uint64_t count;   // units of the result
  uint64_t picked;  // how many indices
  uint64_t extent;
  uint64_t after;  // units of a slice
};
PUSHED_PARAMS(Params)

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t i = ITEM_NUMBER;
  if (i >= p.count) return;
  uint64_t rest = i;
  const uint64_t unit = take_digit(rest, p.after), pick = take_digit(rest, p.picked);
  const uint64_t index = uint64_t(int64_t((p.indices + pick).v));
  (p.to + i).v = (p.from + ((rest * p.extent + index) * p.after + unit)).v;
}
