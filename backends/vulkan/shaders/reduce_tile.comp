#version 460
// A group takes 8 chunks at once, of 32 lanes each: of one output or of several. Where outputs are reduced in segments the
// parts go to the workspace, for reduce_join.
#include "common.glsl"
#include "strided.glsl"
#include "reduction.glsl"

layout(local_size_x = 256) in;

#include "tile.glsl"

// One lane of one chunk.
Part lane_of_chunk(Params p, int64_t base, uint64_t chunk, uint lane) {
  Part part = nothing();
  const uint64_t end = min(p.reduced, (chunk + 1) * 1024);
  for (uint64_t position = chunk * 1024 + lane; position < end; position += 32) {
    int64_t at;
    OFFSET_OF(at, position, p.inner_rank, p.inner_dims, p.inner_from);
    part = with(part, (ELEMENTS(p.from) + uint64_t(base + at)).v, position);
  }
  return part;
}

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  const uint t = gl_LocalInvocationIndex;
  const uint at_once = 1u << p.log_chunks_at_once, outputs_at_once = slots >> p.log_chunks_at_once;
  const bool columns = p.columns != 0;
  const uint slot = columns ? t % slots : t / 32, lane = columns ? t / slots : t % 32;
  const uint own_output = columns ? slot % outputs_at_once : slot / at_once;
  const uint own_chunk = columns ? slot / outputs_at_once : slot % at_once;

  const uint tile = group_number() / p.segments, segment = group_number() % p.segments;
  const uint64_t first_output = uint64_t(tile) * outputs_at_once;
  const bool there = first_output + own_output < p.outputs;
  int64_t base;
  OFFSET_OF(base, first_output + own_output, p.outer_rank, p.outer_dims, p.outer_from);

  const uint64_t chunks = (p.reduced + 1023) / 1024, first = uint64_t(segment) * p.chunks_per_segment;
  const uint64_t end = min(chunks, first + p.chunks_per_segment);
  PAIRWISE(parts, 40);
  for (uint64_t chunk = first; chunk < end; chunk += at_once) {
    Part part = nothing();
    if (there) part = lane_of_chunk(p, base, chunk + own_chunk, lane);
    lanes[slot][lane] = part;
    join_lanes(t);
    if (t >= outputs_at_once) continue;
    for (uint i = 0; i < at_once && chunk + i < end; ++i) {
      PAIRWISE_ADD(parts, chunk_parts[columns ? i * outputs_at_once + t : t * at_once + i]);
    }
  }
  const uint64_t output_number = first_output + t;
  if (t >= outputs_at_once || output_number >= p.outputs) return;
  Part total;
  PAIRWISE_TOTAL(total, parts);
  if (p.segments > 1) {
    (Parts(p.workspace) + (output_number * p.segments + segment)).v = total;
    return;
  }
  int64_t to;
  OFFSET_OF(to, output_number, p.outer_rank, p.outer_dims, p.outer_to);
  STORE_PART(p.to, to, total, p.divisor);
}
