#version 460
// One invocation per row. A row is at most one chunk.
#include "common.glsl"
#include "softmax.glsl"

layout(local_size_x = 64) in;

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t row = ITEM_NUMBER;
  if (row >= p.rows) return;
  const uint64_t first = first_of_row(p, row);
  const uint count = uint(p.extent);
  KEY best = lowest;
  for (uint i = 0; i < count; ++i) best = max(best, key_at(p, first + i * p.step));
  const T largest = number_of(bits_of(best, highest));
  T total;
  JOIN_LANES_OF_CHUNK(total, count, k, exp_of(shifted_at(p, first + k * p.step, largest)));

#ifdef SOFTMAX
  for (uint i = 0; i < count; ++i) {
    const uint64_t at = first + i * p.step;
    (TS(p.to) + at).v = divide(exp_of(shifted_at(p, at, largest)), total);
  }
#else
  const T log_total = log_of(total);
#ifdef LOG_SOFTMAX
  for (uint i = 0; i < count; ++i) {
    const uint64_t at = first + i * p.step;
    (TS(p.to) + at).v = log_probability_at(p, at, largest, log_total);
  }
#elif defined(CROSS_ENTROPY)
  T loss;
  JOIN_LANES_OF_CHUNK(loss, count, k, weighted_at(p, first + k * p.step, largest, log_total));
  (TS(p.to) + row).v = negative(loss);
#else
  store_loss(p, row, largest, log_total);
#endif
#endif
}
