#version 460
// A reduction with one invocation per output.
#include "common.glsl"
#include "strided.glsl"
#include "reduction.glsl"

layout(local_size_x = 64) in;

Partial element_at(Params p, int64_t base, uint64_t position) {
  return with(identity(), (ELEMENTS(p.from) + uint64_t(base + step_to(p, position))).v, position);
}

// Reduces `count` elements from `first` on, at most a chunk.
Partial chunk(Params p, int64_t base, uint64_t first, uint count) {
  Partial result = identity();
#ifdef REDUCE_SUM
  JOIN_LANES_OF_CHUNK(result, count, k, element_at(p, base, first + k));
#else
  for (uint k = 0; k < count; ++k) result = join(result, element_at(p, base, first + k));
#endif
  return result;
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t output_number = ITEM_NUMBER;
  if (output_number >= p.outputs) return;
  const int64_t base = base_of(p, output_number);
  PAIRWISE(chunks, 40);
  for (uint64_t first = 0; first < p.reduced; first += 1024) {
    PAIRWISE_ADD(chunks, chunk(p, base, first, uint(min(p.reduced - first, uint64_t(1024)))));
  }
  Partial total;
  PAIRWISE_TOTAL(total, chunks);
  STORE_PARTIAL(p.to, place_of(p, output_number), total, p.divisor);
}
