#version 460
// One invocation per pixel: adds its shares of the windows that cover it, in ascending order.
#include "common.glsl"
#include "window.glsl"
#include "exact.glsl"

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
    int first, end;
    taps_inside(r * p.stride_height - p.top, p.window_height, p.height, first, end);
    const int rows = end - first;
    for (int c = first_column; c < end_column; ++c) {
      taps_inside(c * p.stride_width - p.left, p.window_width, p.width, first, end);
      const T dy = (TS(p.a) + position_of(at, r, c, p.pooled_height, p.pooled_width, p.channels)).v;
      precise const T share = divide(dy, T(rows * (end - first)));
      sum = sum + share;
    }
  }
  (TS(p.b) + position).v = sum;
}
