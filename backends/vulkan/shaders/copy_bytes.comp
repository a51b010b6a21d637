#version 460
// Copies bytes in UNITS of memory, to which both addresses and the number of bytes are aligned.
#include "common.glsl"
#include "runs.glsl"

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
  uint64_t i = FIRST_IN_RUNS(p.per_invocation);
  for (uint64_t k = 0; k < p.per_invocation && i < p.count; ++k, i += RUN_LENGTH) (p.to + i).v = (p.from + i).v;
}
