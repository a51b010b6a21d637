#version 460
// Copies the elements that taps denote, in UNITS of memory.
#include "common.glsl"
#define T_F32
#define MORE_PARAMS
#include "window.glsl"

layout(local_size_x = 64) in;

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t position = ITEM_NUMBER;
  if (position >= p.count) return;
  const Pixel at = pixel_of(position, p.pooled_height, p.pooled_width, p.channels);
  const int64_t from = position_of_tap(p, at, (Ints(p.b) + position).v);
  (UNITS(p.c) + position).v = (UNITS(p.a) + uint64_t(from)).v;
}
