#version 460
// out = in + 1, for the hand-written command buffer of launch_cost.cpp.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
layout(local_size_x = 256) in;
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(push_constant, scalar) uniform Push {
  Floats from, to;
  uint count;
} p;
void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i < p.count) p.to.at[i] = p.from.at[i] + 1.0;
}
