#version 460
// Fills memory with a pattern of at most 8 bytes, which the host has repeated to 8. The address and the number of bytes
// are aligned to the unit, which is at least as long as the pattern.
#include "common.glsl"

layout(local_size_x = 256) in;

struct Params {
  UNITS to;
  uint64_t count;
  uint64_t per_invocation;
  uint64_t pattern;
};
PUSHED_PARAMS(Params)

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  // Eight neighbours process runs of eight units, one unit of each run, so that their accesses are adjacent. lavapipe's
  // vectors have eight elements.
  const uint lane = gl_LocalInvocationIndex % 8;
  uint64_t i = (ITEM_NUMBER - lane) * p.per_invocation + lane;
  for (uint64_t k = 0; k < p.per_invocation && i < p.count; ++k, i += 8) (p.to + i).v = UNIT(p.pattern);
}
