#version 460
// One invocation per output.
#include "common.glsl"
#include "strided.glsl"
#include "reduction.glsl"

layout(local_size_x = 64) in;

// The elements from `first` on, at most a chunk of them.
Part chunk(Params p, int64_t base, uint64_t first, uint count) {
#ifdef REDUCE_SUM
  // Lanes in the order in which halving joins them: 0, 16, 8, 24 … of 32. Those beyond the count are +0 and change nothing,
  // so half of the lanes do where they have all elements.
  const uint log_lanes = count <= 1 ? 0 : min(uint(findMSB(count - 1)) + 1, 5u), step = 32;
  PAIRWISE(lanes, 6);
  for (uint i = 0; i < (1u << log_lanes); ++i) {
    const uint lane = log_lanes == 0 ? 0 : bitfieldReverse(i) >> (32 - log_lanes);
#else
  Part result = nothing();
  const uint lane = 0, step = 1;
  {
#endif
    Part part = nothing();
    for (uint k = lane; k < count; k += step) {
      int64_t at;
      OFFSET_OF(at, first + k, p.inner_rank, p.inner_dims, p.inner_from);
      part = with(part, (ELEMENTS(p.from) + uint64_t(base + at)).v, first + k);
    }
#ifdef REDUCE_SUM
    PAIRWISE_ADD(lanes, part);
  }
  Part result;
  PAIRWISE_TOTAL(result, lanes);
#else
    result = part;
  }
#endif
  return result;
}

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  const uint64_t output_number = ITEM_NUMBER;
  if (output_number >= p.outputs) return;
  int64_t base, to;
  OFFSET_OF(base, output_number, p.outer_rank, p.outer_dims, p.outer_from);
  OFFSET_OF(to, output_number, p.outer_rank, p.outer_dims, p.outer_to);
  PAIRWISE(chunks, 40);
  for (uint64_t first = 0; first < p.reduced; first += 1024) {
    PAIRWISE_ADD(chunks, chunk(p, base, first, uint(min(p.reduced - first, uint64_t(1024)))));
  }
  Part total;
  PAIRWISE_TOTAL(total, chunks);
  STORE_PART(p.to, to, total, p.divisor);
}
