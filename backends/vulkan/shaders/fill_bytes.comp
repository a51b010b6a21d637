#version 460
// Fills memory with a pattern of at most 8 bytes, which the host has repeated to 8. The address and the number of bytes
// are aligned to the unit, which is at least as long as the pattern.
#include "common.glsl"
#include "runs.glsl"

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
  uint64_t i = FIRST_IN_RUNS(p.per_invocation);
  for (uint64_t k = 0; k < p.per_invocation && i < p.count; ++k, i += RUN_LENGTH) (p.to + i).v = UNIT(p.pattern);
}
