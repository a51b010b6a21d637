#version 460
// Counts how often each digit occurs in a block.
#include "common.glsl"
#include "sort.glsl"

layout(local_size_x = group_size) in;

shared uint found[digits];

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint t = gl_LocalInvocationIndex, block = group_number();
  if (block >= p.blocks) return;
  if (t < digits) found[t] = 0;
  barrier();
  const uint begin = block * block_size + t * items_each;
  for (uint i = begin; i < min(begin + items_each, p.count); ++i) atomicAdd(found[digit_of(p, number_at(p, i))], 1);
  barrier();
  if (t < digits) (p.counts + (t * p.blocks + block)).v = found[t];
}
