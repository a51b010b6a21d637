#version 460
// Repeats a pattern of at most 8 bytes. It comes repeated to 8; the address and the number of bytes are aligned to the
// unit, which is no shorter than the pattern.
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
