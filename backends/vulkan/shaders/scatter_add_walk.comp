#version 460
// One invocation per element of the result: scans all indices and adds the updates for that element, in their order. A
// dispatch processes the updates from `first` up to `end`.
#include "common.glsl"
#include "number.glsl"
#include "scatter.glsl"

layout(local_size_x = 64) in;

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t i = ITEM_NUMBER;
  if (i >= p.count) return;
  uint64_t before = i;
  const uint64_t after = take_digit(before, p.after), own = take_digit(before, p.extent);
  precise T sum = T(0);
  if (p.first > 0) sum = (TS(p.to) + i).v;
  for (uint64_t k = p.first; k < p.end; ++k) {
    if (uint64_t(int64_t((p.indices + k).v)) != own) continue;
    sum = sum + (TS(p.from) + ((before * p.updates + k) * p.after + after)).v;
  }
  (TS(p.to) + i).v = sum;
}
