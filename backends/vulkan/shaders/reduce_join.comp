#version 460
// Joins the partial results that reduce_tile has written to the workspace. One workgroup per output.
#include "common.glsl"
#include "strided.glsl"
#include "reduction.glsl"

layout(local_size_x = 64) in;

shared Partial joined[gl_WorkGroupSize.x];

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint t = gl_LocalInvocationIndex;
  const uint64_t output_number = group_number();
  if (output_number >= p.outputs) return;
  // Each invocation joins a power of two of them, so that its result is a subtree of one tree.
  const uint each = p.segments <= gl_WorkGroupSize.x ? 1 : 2u << findMSB((p.segments - 1) / gl_WorkGroupSize.x);
  PAIRWISE(parts, 16);
  const uint end = min(p.segments, (t + 1) * each);
  for (uint i = t * each; i < end; ++i) {
    PAIRWISE_ADD(parts, (Partials(p.workspace) + (output_number * p.segments + i)).v);
  }
  Partial total;
  PAIRWISE_TOTAL(total, parts);
  joined[t] = total;
  for (uint distance = 1; distance < gl_WorkGroupSize.x; distance *= 2) {
    barrier();
    if (t % (2 * distance) == 0) joined[t] = join(joined[t], joined[t + distance]);
  }
  if (t != 0) return;
  STORE_PARTIAL(p.to, place_of(p, output_number), joined[0], p.divisor);
}
