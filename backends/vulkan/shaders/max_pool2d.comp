#version 460
// The largest element under each window and the number of its tap. The first of equal elements is taken; +0 is larger
// than -0, and NaN larger than everything.
#include "common.glsl"
#include "window.glsl"
#include "ordered.glsl"

layout(local_size_x = 64) in;

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t position = ITEM_NUMBER;
  if (position >= p.count) return;
  const Pixel at = pixel_of(position, p.pooled_height, p.pooled_width, p.channels);
  const int top = at.row * p.stride_height - p.top, left = at.column * p.stride_width - p.left;
  int first_row, end_row, first_column, end_column;
  taps_inside(top, p.window_height, p.height, first_row, end_row);
  taps_inside(left, p.window_width, p.width, first_column, end_column);

  KEY best = lowest, best_bits = KEY(0);
  int best_tap = -1;
  for (int i = first_row; i < end_row; ++i) {
    for (int j = first_column; j < end_column; ++j) {
      const uint64_t from = position_of(at, top + i, left + j, p.height, p.width, p.channels);
      const KEY bits = (KEYS(p.a) + from).v, key = key_of(bits, highest);
      if (best_tap < 0 || key > best) {
        best = key;
        best_bits = bits;
        best_tap = i * p.window_width + j;
      }
    }
  }
  (KEYS(p.b) + position).v = best_bits;
  (Ints(p.c) + position).v = best_tap;
}
