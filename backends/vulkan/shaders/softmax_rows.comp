#version 460
// A workgroup takes several short rows, or the chunks of a long one, 8 chunks at once.
#include "common.glsl"
#include "softmax.glsl"

layout(local_size_x = 256) in;

#include "tile.glsl"

shared KEY keys[slots][32];
shared Partial totals[slots];

// The part of the tile that an invocation computes.
struct Own {
  uint row, chunk, lane;  // in the tile
  bool there;
  uint64_t first;  // element of its row
};

// Loops over the elements of a chunk that belong to the invocation's lane; `at` is the element's position.
#define FOR_EACH_OF_LANE(own, chunk, at)                                                    \
  for (uint64_t position_ = (chunk) * 1024 + own.lane, at = own.first + position_ * p.step; \
       position_ < min(p.extent, (chunk) * 1024 + 1024); position_ += 32, at += 32 * p.step)

T largest_of_row(Params p, Own own, uint slot, uint chunks, uint at_once) {
  KEY best = lowest;
  if (own.there) {
    for (uint64_t chunk = own.chunk; chunk < chunks; chunk += at_once) {
      FOR_EACH_OF_LANE(own, chunk, at) best = max(best, key_at(p, at));
    }
  }
  keys[slot][own.lane] = best;
  for (uint half_ = 16; half_ > 0; half_ /= 2) {
    barrier();
    if (own.lane < half_) keys[slot][own.lane] = max(keys[slot][own.lane], keys[slot][own.lane + half_]);
  }
  barrier();
  for (uint i = 0; i < at_once; ++i) best = max(best, keys[own.row * at_once + i][0]);
  return number_of(bits_of(best, highest));
}

// The sum of an invocation's row: of exponentials or, for the loss, of weighted logarithms.
T sum_of_row(Params p, Own own, uint slot, uint chunks, uint at_once, T largest, T log_total, bool weighted) {
  const uint t = gl_LocalInvocationIndex, rows_at_once = slots / at_once;
  PAIRWISE(parts, 32);
  for (uint chunk = 0; chunk < chunks; chunk += at_once) {
    Partial part = identity();
    if (own.there) {
      FOR_EACH_OF_LANE(own, uint64_t(chunk + own.chunk), at) {
#ifdef CROSS_ENTROPY
        if (weighted) {
          part = join(part, weighted_at(p, at, largest, log_total));
          continue;
        }
#endif
        part = join(part, exp_of(shifted_at(p, at, largest)));
      }
    }
    lanes[slot][own.lane] = part;
    join_lanes(t);
    if (t >= rows_at_once) continue;
    for (uint i = 0; i < at_once && chunk + i < chunks; ++i) PAIRWISE_ADD(parts, chunk_parts[t * at_once + i]);
  }
  Partial total;
  PAIRWISE_TOTAL(total, parts);
  if (t < rows_at_once) totals[t] = total;
  barrier();
  return totals[own.row];
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint t = gl_LocalInvocationIndex, slot = t / 32;
  const uint at_once = 1u << p.log_chunks_at_once, chunks = uint((p.extent + 1023) / 1024);
  Own own;
  own.row = slot / at_once;
  own.chunk = slot % at_once;
  own.lane = t % 32;
  const uint64_t row = uint64_t(group_number()) * (slots / at_once) + own.row;
  own.there = row < p.rows;
  own.first = first_of_row(p, row);
  const T largest = largest_of_row(p, own, slot, chunks, at_once);
  const T total = sum_of_row(p, own, slot, chunks, at_once, largest, T(0), false);

#ifdef SOFTMAX
  if (!own.there) return;
  for (uint64_t chunk = own.chunk; chunk < chunks; chunk += at_once) {
    FOR_EACH_OF_LANE(own, chunk, at) (TS(p.to) + at).v = divide(exp_of(shifted_at(p, at, largest)), total);
  }
#else
  const T log_total = log_of(total);
#ifdef LOG_SOFTMAX
  if (!own.there) return;
  for (uint64_t chunk = own.chunk; chunk < chunks; chunk += at_once) {
    FOR_EACH_OF_LANE(own, chunk, at) (TS(p.to) + at).v = log_probability_at(p, at, largest, log_total);
  }
#elif defined(CROSS_ENTROPY)
  barrier();  // all invocations have read the totals before they are written again
  const T loss = sum_of_row(p, own, slot, chunks, at_once, largest, log_total, true);
  if (own.there && own.chunk == 0 && own.lane == 0) (TS(p.to) + row).v = negative(loss);
#else
  if (own.there && own.chunk == 0 && own.lane == 0) store_loss(p, row, largest, log_total);
#endif
#endif
}
