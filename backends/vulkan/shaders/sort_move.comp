#version 460
// Moves the numbers of a block to the places of their digits. Numbers of the same digit keep their order.
#include "common.glsl"
#include "sort.glsl"

layout(local_size_x = group_size) in;

shared uint before[digits][group_size];  // how often a digit occurs in the invocations before
shared uint parts[digits][8];

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint t = gl_LocalInvocationIndex, block = group_number();
  if (block >= p.blocks) return;
  for (uint d = 0; d < digits; ++d) before[d][t] = 0;
  const uint begin = block * block_size + t * items_each, end = min(begin + items_each, p.count);
  for (uint i = begin; i < end; ++i) before[digit_of(p, number_at(p, i))][t] += 1;
  barrier();
  // Each digit's counts are summed by eight invocations of 16 places each.
  const uint digit = t / 8, first = t % 8 * 16;
  uint sum = 0;
  for (uint i = 0; i < 16; ++i) {
    const uint own = before[digit][first + i];
    before[digit][first + i] = sum;
    sum += own;
  }
  parts[digit][t % 8] = sum;
  barrier();
  uint sum_before = 0;
  for (uint i = 0; i < t % 8; ++i) sum_before += parts[digit][i];
  for (uint i = 0; i < 16; ++i) before[digit][first + i] += sum_before;
  barrier();
  for (uint i = begin; i < end; ++i) {
    const uint number = number_at(p, i), d = digit_of(p, number);
    const uint slot = (p.counts + (d * p.blocks + block)).v + before[d][t];
    before[d][t] += 1;
    if (p.wide != 0) {
      (Int64s(p.to) + slot).v = int64_t(number);
    } else {
      (Words(p.to) + slot).v = number;
    }
  }
}
