#version 460
// Convolutions with one channel per group, and their gradient of the image if there is also one filter per group. An
// invocation computes STRIP neighbours in a row, which share the filter. At most 256 taps are one chunk of lockstep
// mode.
#include "common.glsl"
#include "tiling.glsl"
#include "conv_params.glsl"

layout(local_size_x = 64) in;

#if PASS == 0
#define HEIGHT p.out_height
#define WIDTH p.out_width
#define FEATURES p.filters
// The coordinate in the image of tap number `tap` of the output at `place`, or -1 if it is outside.
int source_of(Params p, int axis, int place, int tap) {
  const int at = place * p.strides[axis] - p.before[axis] + tap * p.dilation[axis];
  return inside(at, axis == 0 ? p.height : p.width) ? at : -1;
}
#else
#define HEIGHT p.height
#define WIDTH p.width
#define FEATURES p.channels
// The output whose tap number `tap` covers the pixel at `place`, or -1 if there is none.
int source_of(Params p, int axis, int place, int tap) {
  return output_index(p, axis, place + p.before[axis], tap * p.dilation[axis], axis == 0 ? p.out_height : p.out_width);
}
#endif

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint features = FEATURES, strips = (WIDTH + STRIP - 1) / STRIP;
  const uint64_t item = ITEM_NUMBER, line = item / features;
  if (line >= uint64_t(p.batch) * HEIGHT * strips) return;
  const uint feature = uint(item - line * features), strip = uint(line % strips);
  const uint row = uint(line / strips), image = row / HEIGHT;
  const int h = int(row - image * HEIGHT), first = int(strip * STRIP);
#if PASS == 0
  const uint channels = p.channels;
  TS from = p.x + (uint64_t(image) * (p.height * p.width) * channels + feature / p.filters_per_group);
  TS to = p.y + ((uint64_t(row) * WIDTH + first) * features + feature);
  const int from_width = p.width;
#else
  const uint channels = p.filters;
  TS from = p.y + (uint64_t(image) * (p.out_height * p.out_width) * channels + feature);
  TS to = p.x + ((uint64_t(row) * WIDTH + first) * features + feature);
  const int from_width = p.out_width;
#endif
  TS filter_ = p.w + uint64_t(feature) * (p.taps_high * p.taps_wide);

  T sums[STRIP];
  UNROLL for (int s = 0; s < STRIP; ++s) sums[s] = T(0);
  for (int i = 0; i < p.taps_high; ++i) {
    const int source_row = source_of(p, 0, h, i);
    if (source_row < 0) continue;
    for (int j = 0; j < p.taps_wide; ++j) {
      const T weight = (filter_ + (i * p.taps_wide + j)).v;
      UNROLL for (int s = 0; s < STRIP; ++s) {
        const int source = source_of(p, 1, first + s, j);
        // If there is no term, some valid element is loaded and not added.
        const T value = (from + uint64_t(source_row * from_width + max(source, 0)) * channels).v;
        precise T product = value * weight;
        precise T sum = sums[s] + product;
        if (source >= 0) sums[s] = sum;
      }
    }
  }
  UNROLL for (int s = 0; s < STRIP; ++s) {
    if (first + s >= WIDTH) continue;
#if PASS == 0
    if (p.has_bias != 0) {
      precise T sum = sums[s] + (p.bias + feature).v;
      sums[s] = sum;
    }
#endif
    (to + uint(s) * features).v = sums[s];
  }
}
