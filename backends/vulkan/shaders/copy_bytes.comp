#version 460
// Copies bytes in UNITS of memory, to which both addresses and the number of bytes are aligned.
#include "common.glsl"

layout(local_size_x = 256) in;

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  UNITS to;
  UNITS from;
  uint64_t count;
};

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  const uint64_t i = ITEM_NUMBER;
  if (i < p.count) (p.to + i).v = (p.from + i).v;
}
