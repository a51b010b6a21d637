#version 460
// Turns counts into start positions: each becomes the sum of the counts before it. Runs in one workgroup.
#include "common.glsl"
#define KEYS Words
#include "sort.glsl"

layout(local_size_x = 256) in;

shared uint sums[gl_WorkGroupSize.x];

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint t = gl_LocalInvocationIndex, total = digits * p.blocks;
  const uint each = (total + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x;
  const uint begin = min(t * each, total), end = min(begin + each, total);
  uint sum = 0;
  for (uint i = begin; i < end; ++i) sum += (p.counts + i).v;
  sums[t] = sum;
  for (uint distance = 1; distance < gl_WorkGroupSize.x; distance *= 2) {
    barrier();
    const uint before = t >= distance ? sums[t - distance] : 0;
    barrier();
    sums[t] += before;
  }
  uint start = sums[t] - sum;
  for (uint i = begin; i < end; ++i) {
    const uint own = (p.counts + i).v;
    (p.counts + i).v = start;
    start += own;
  }
}
