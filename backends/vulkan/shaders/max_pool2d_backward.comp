#version 460
// One invocation per pixel: adds the gradients of those windows whose largest element it is, in ascending order.
#include "common.glsl"
#include "window.glsl"

layout(local_size_x = 64) in;

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t position = ITEM_NUMBER;
  if (position >= p.count) return;
  const Pixel at = pixel_of(position, p.height, p.width, p.channels);
  int first_row, end_row, first_column, end_column;
  windows_over(at.row, p.top, p.window_height, p.stride_height, p.pooled_height, first_row, end_row);
  windows_over(at.column, p.left, p.window_width, p.stride_width, p.pooled_width, first_column, end_column);

  precise T sum = T(0);
  for (int r = first_row; r < end_row; ++r) {
    for (int c = first_column; c < end_column; ++c) {
      const int tap = (at.row + p.top - r * p.stride_height) * p.window_width + at.column + p.left - c * p.stride_width;
      const uint64_t from = position_of(at, r, c, p.pooled_height, p.pooled_width, p.channels);
      if ((Ints(p.b) + from).v == tap) sum = sum + (TS(p.a) + from).v;
    }
  }
  (TS(p.c) + position).v = sum;
}
