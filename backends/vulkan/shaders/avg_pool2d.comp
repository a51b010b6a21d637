#version 460
// The mean of a window's elements inside the image.
#include "common.glsl"
#include "window.glsl"
#include "exact.glsl"

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

  precise T sum = T(0);
  for (int i = first_row; i < end_row; ++i) {
    for (int j = first_column; j < end_column; ++j) {
      sum = sum + (TS(p.a) + position_of(at, top + i, left + j, p.height, p.width, p.channels)).v;
    }
  }
  const int taps = max(0, end_row - first_row) * max(0, end_column - first_column);
  (TS(p.b) + position).v = divide(sum, T(taps));
}
