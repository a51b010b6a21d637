#version 460
// A transposing copy on GPUs: source and target are contiguous along different dimensions. A workgroup copies a tile of
// 32 x 32 elements through shared memory, so that both reads and writes are coalesced. Elements are UNITS of memory.
#include "common.glsl"
#include "strided.glsl"

layout(local_size_x = 256) in;

PUSH_CONSTANTS(uint64_t first[14];);
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  UNITS to;
  UNITS from;
  uint64_t tiles;
  uint64_t read_extent, written_extent;    // of the dimensions along which reads, and writes, are contiguous
  int64_t read_to_stride;                  // the target's stride along the first
  int64_t written_from_stride;             // the source's stride along the second
  int64_t read_from_stride, written_to_stride;  // 1 or -1
  int64_t rank;                                 // of the other dimensions
  uint64_t extents[8];
  int64_t to_strides[8];
  int64_t from_strides[8];
};

const uint side = 32, lines_at_once = 8;
// One column of padding, so that neighbours in a column are in different banks.
shared SHARED_UNIT tile[side][side + 1];

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  uint64_t rest = group_number();
  if (rest >= p.tiles) return;
  const uint64_t read_tiles = (p.read_extent + (side - 1)) / side, written_tiles = (p.written_extent + (side - 1)) / side;
  const uint64_t read_begin = take_digit(rest, read_tiles) * side;
  const uint64_t written_begin = take_digit(rest, written_tiles) * side;
  int64_t to = 0, from = 0;
  for (int d = int(p.rank) - 1; d >= 0; --d) {
    const int64_t k = int64_t(take_digit(rest, p.extents[d]));
    to += k * p.to_strides[d];
    from += k * p.from_strides[d];
  }
  const uint beside = gl_LocalInvocationIndex % side, line = gl_LocalInvocationIndex / side;
  UNROLL for (uint i = 0; i < side; i += lines_at_once) {
    const uint64_t read = read_begin + beside, written = written_begin + line + i;
    if (read >= p.read_extent || written >= p.written_extent) continue;
    const int64_t at = from + int64_t(read) * p.read_from_stride + int64_t(written) * p.written_from_stride;
    tile[line + i][beside] = SHARED_UNIT((p.from + uint64_t(at)).v);
  }
  barrier();
  UNROLL for (uint i = 0; i < side; i += lines_at_once) {
    const uint64_t read = read_begin + line + i, written = written_begin + beside;
    if (read >= p.read_extent || written >= p.written_extent) continue;
    const int64_t at = to + int64_t(read) * p.read_to_stride + int64_t(written) * p.written_to_stride;
    (p.to + uint64_t(at)).v = UNIT(tile[beside][line + i]);
  }
}
