#version 460
// The gradient of the filters of a convolution with one channel per group. An invocation computes TAPS neighbouring
// taps of one filter over a range of positions, and loads each element of the output's gradient once.
#include "common.glsl"
#include "tiling.glsl"
#include "conv_params.glsl"
#include "product_tile.glsl"

layout(local_size_x = 64) in;
const uint tile_elements = TAPS;
#include "pending_chunks.glsl"

// Adds the products of the positions from `begin` up to `end`, which are one chunk.
void add_chunk(Params p, Batch group, Tile tile, uint begin, uint end, inout T sums[TAPS]) {
  Tap taps[TAPS];
  UNROLL for (uint t = 0; t < TAPS; ++t) taps[t] = tap_of(p, min(tile.row + t, p.tiling.rows - 1), 1);
  const uint filter_ = group * p.filters_per_group + tile.column;
  Pixel at = pixel_of(begin, p.out_height, p.out_width);
  for (uint k = begin; k < end; ++k) {
    const T right = (p.y + (uint64_t(k) * p.filters + filter_)).v;
    TS image = p.x + (uint64_t(at.n) * (p.height * p.width) * p.channels + group);
    const int h = at.h * p.strides[0] - p.before[0], v = at.v * p.strides[1] - p.before[1];
    UNROLL for (uint t = 0; t < TAPS; ++t) {
      const int row = h + taps[t].h, column = v + taps[t].v;
      const bool is_term = inside(row, p.height) && inside(column, p.width);
      // If there is no term, some valid element is loaded and not added.
      const T left = (image + uint64_t(is_term ? row * p.width + column : 0) * p.channels).v;
      precise T product = left * right;
      precise T sum = sums[t] + product;
      sums[t] = is_term ? sum : sums[t];
    }
    if (++at.v == p.out_width) {
      at.v = 0;
      if (++at.h == p.out_height) {
        at.h = 0;
        ++at.n;
      }
    }
  }
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t number = ITEM_NUMBER;
  if (!is_work(p.tiling, number)) return;
  const Tile tile = tile_of(p.tiling, number);
  Batch group = batch_of(p, tile.batch);
  T sums[TAPS];
  UNROLL for (uint t = 0; t < TAPS; ++t) sums[t] = T(0);
  uint chunk = 0, k = tile.begin;
  for (; tile.end - k > 256; k += 256) {
    add_chunk(p, group, tile, k, k + 256, sums);
    close_chunk(chunk++, sums);
  }
  add_chunk(p, group, tile, k, tile.end, sums);
  close_last_chunk(chunk, sums);
  Target target = target_of(p, tile, group);
  UNROLL for (uint t = 0; t < TAPS; ++t) put(target, t, 0, sums[t]);
}
