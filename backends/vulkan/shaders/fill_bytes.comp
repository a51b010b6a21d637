#version 460
// Fills memory with a pattern of at most 8 bytes, which the host has repeated to 8. The address and the number of bytes
// are aligned to the unit, which is at least as long as the pattern.
#include "common.glsl"

layout(local_size_x = 256) in;

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  UNITS to;
  uint64_t count;
  uint64_t pattern;
};

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  const uint64_t i = ITEM_NUMBER;
  if (i < p.count) (p.to + i).v = UNIT(p.pattern);
}
