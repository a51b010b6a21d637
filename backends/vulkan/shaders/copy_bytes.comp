#version 460
// Copies bytes in UNITS of memory, to which both addresses and the number of bytes are aligned.
#include "common.glsl"

layout(local_size_x = 256) in;

struct Params {
  UNITS to;
  UNITS from;
  uint64_t count;
  uint64_t per_invocation;
};
PUSHED_PARAMS(Params)

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  // Eight neighbours process runs of eight units, one unit of each run, so that their accesses are adjacent. lavapipe's
  // vectors have eight elements.
  const uint lane = gl_LocalInvocationIndex % 8;
  uint64_t i = (ITEM_NUMBER - lane) * p.per_invocation + lane;
  for (uint64_t k = 0; k < p.per_invocation && i < p.count; ++k, i += 8) (p.to + i).v = (p.from + i).v;
}
