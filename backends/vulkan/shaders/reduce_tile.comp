#version 460
// A workgroup reduces 8 chunks of 32 lanes each at once, of one output or of several. Each invocation computes four
// cells of this tile: adjacent lanes or adjacent outputs. If outputs are reduced in segments, the partial results go to
// the workspace, for reduce_join.
#include "common.glsl"
#include "strided.glsl"
#include "reduction.glsl"

layout(local_size_x = 64) in;

#include "tile.glsl"

// A cell of the tile: one lane of one chunk.
struct Cell {
  uint slot, lane, output_in_tile, chunk_in_tile;
};

Cell cell_of(Params p, uint t, uint j) {
  const uint at_once = 1u << p.log_chunks_at_once, outputs_at_once = slots >> p.log_chunks_at_once;
  Cell c;
  if (p.columns != 0) {
    c.slot = t % 2 * 4 + j;
    c.lane = t / 2;
    c.output_in_tile = c.slot % outputs_at_once;
    c.chunk_in_tile = c.slot / outputs_at_once;
  } else {
    c.slot = t / 8;
    c.lane = t % 8 * 4 + j;
    c.output_in_tile = c.slot / at_once;
    c.chunk_in_tile = c.slot % at_once;
  }
  return c;
}

const uint ahead = 4;

// Reduces the elements of four adjacent cells of one chunk, four at a time.
void take_wide(Params p, int64_t base, uint64_t chunk, uint lane, inout Partial parts[4]) {
  const uint64_t start = chunk * 1024;
  if (start >= p.reduced) return;
  const uint count = uint(min(p.reduced - start, uint64_t(1024))), last = p.columns != 0 ? 0 : 3;
  uint64_t address = p.from + uint64_t(base + step_to(p, start + lane)) * ELEMENT_BYTES;
  const uint64_t stride = uint64_t(p.inner_step) * (32 * ELEMENT_BYTES);
  uint k = lane;
  // Several loads are in flight at once, to hide the latency of memory.
  if (p.inner_rank <= 1) {
    for (; k + (ahead - 1) * 32 + last < count; k += ahead * 32) {
      ELEMENT4 fours[ahead];
      UNROLL for (uint i = 0; i < ahead; ++i) fours[i] = Fours(address + i * stride).v;
      UNROLL for (uint i = 0; i < ahead; ++i) {
        UNROLL for (uint j = 0; j < 4; ++j) parts[j] = with(parts[j], fours[i][j], start + k + i * 32 + min(j, last));
      }
      address += ahead * stride;
    }
  }
  for (; k + last < count; k += 32) {
    if (p.inner_rank > 1) address = p.from + uint64_t(base + step_to(p, start + k)) * ELEMENT_BYTES;
    const ELEMENT4 four = Fours(address).v;
    UNROLL for (uint j = 0; j < 4; ++j) parts[j] = with(parts[j], four[j], start + k + min(j, last));
    address += stride;
  }
  if (p.columns != 0) return;
  UNROLL for (uint j = 0; j < 3; ++j) {
    if (k + j < count) parts[j] = with(parts[j], (ELEMENTS(address) + j).v, start + k + j);
  }
}

// Reduces the elements of one cell.
Partial take_cell(Params p, int64_t base, uint64_t chunk, uint lane) {
  Partial part = identity();
  const uint64_t end = min(p.reduced, (chunk + 1) * 1024);
  for (uint64_t position = chunk * 1024 + lane; position < end; position += 32) {
    part = with(part, (ELEMENTS(p.from) + uint64_t(base + step_to(p, position))).v, position);
  }
  return part;
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint t = gl_LocalInvocationIndex;
  const uint at_once = 1u << p.log_chunks_at_once, outputs_at_once = slots >> p.log_chunks_at_once;
  const uint tile = group_number() / p.segments, segment = group_number() % p.segments;
  const uint64_t first_output = uint64_t(tile) * outputs_at_once;
  const uint64_t chunks = (p.reduced + 1023) / 1024, first = uint64_t(segment) * p.chunks_per_segment;
  const uint64_t end = min(chunks, first + p.chunks_per_segment);

  const Cell first_cell = cell_of(p, t, 0);
  int64_t bases[4];
  UNROLL for (uint j = 0; j < 4; ++j) {
    bases[j] = (p.wide != 0 || p.columns == 0) && j > 0 ? bases[0] : base_of(p, first_output + cell_of(p, t, j).output_in_tile);
  }
  PAIRWISE(parts, 40);
  for (uint64_t chunk = first; chunk < end; chunk += at_once) {
    Partial taken[4] = {identity(), identity(), identity(), identity()};
    if (p.wide != 0) {
      if (first_output + first_cell.output_in_tile < p.outputs) {
        take_wide(p, bases[0], chunk + first_cell.chunk_in_tile, first_cell.lane, taken);
      }
    } else {
      UNROLL for (uint j = 0; j < 4; ++j) {
        const Cell c = cell_of(p, t, j);
        if (first_output + c.output_in_tile < p.outputs) taken[j] = take_cell(p, bases[j], chunk + c.chunk_in_tile, c.lane);
      }
    }
    UNROLL for (uint j = 0; j < 4; ++j) {
      const Cell c = cell_of(p, t, j);
      lanes[c.slot][c.lane] = taken[j];
    }
    join_lanes(t);
    if (t >= outputs_at_once) continue;
    for (uint i = 0; i < at_once && chunk + i < end; ++i) {
      PAIRWISE_ADD(parts, chunk_parts[p.columns != 0 ? i * outputs_at_once + t : t * at_once + i]);
    }
  }
  const uint64_t output_number = first_output + t;
  if (t >= outputs_at_once || output_number >= p.outputs) return;
  Partial total;
  PAIRWISE_TOTAL(total, parts);
  if (p.segments > 1) {
    (Partials(p.workspace) + (output_number * p.segments + segment)).v = total;
  } else {
    STORE_PARTIAL(p.to, place_of(p, output_number), total, p.divisor);
  }
}
