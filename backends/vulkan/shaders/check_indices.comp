#version 460
// Fails the command at the first index outside. One group, so that there is a first.
#include "common.glsl"

layout(local_size_x = 256) in;

// kernels/index_check.cpp
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  INDICES indices;
  uint64_t first, end;  // those to look at
  int64_t extent;
  uint64_t value;  // of the command
  int axis;
};

shared uint64_t first_outside[gl_WorkGroupSize.x];

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  const uint t = gl_LocalInvocationIndex;
  uint64_t at = p.first + t;
  while (at < p.end) {
    // The sign is looked at before widening: Mesa 22.3 gets comparisons of a widened int with a constant wrong.
    if ((p.indices + at).v < 0 || int64_t((p.indices + at).v) >= p.extent) break;
    at += gl_WorkGroupSize.x;
  }
  first_outside[t] = min(at, p.end);
  for (uint half_ = gl_WorkGroupSize.x / 2; half_ > 0; half_ /= 2) {
    barrier();
    if (t < half_) first_outside[t] = min(first_outside[t], first_outside[t + half_]);
  }
  if (t != 0 || first_outside[0] == p.end) return;
  push.state.axis = p.axis;
  push.state.value = p.value;
  push.state.index = (p.indices + first_outside[0]).v;
  push.state.position = int64_t(first_outside[0]);
  push.state.extent = p.extent;
  push.state.failed = 1;
}
