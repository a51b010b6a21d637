#version 460
// Writes one at the position of each label and zero elsewhere. Elements are UNITS of memory.
#include "common.glsl"
#include "strided.glsl"

layout(local_size_x = 256) in;

// kernels/one_hot.cpp
struct Params {
  UNITS to;
  INDICES labels;
  uint64_t count;  // elements of the result
  uint64_t depth;
  uint64_t one;  // its bits
};
PUSHED_PARAMS(Params)

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t i = ITEM_NUMBER;
  if (i >= p.count) return;
  uint64_t row = i;
  const uint64_t place = take_digit(row, p.depth);
  const bool here = uint64_t(int64_t((p.labels + row).v)) == place;
  (p.to + i).v = here ? UNIT(p.one) : UNIT(0);
}
