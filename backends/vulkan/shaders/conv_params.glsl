// A convolution as the host describes it (kernels/conv2d.cpp): x is (batch, height, width, channels), w is (filters,
// taps_high, taps_wide, channels / groups), y is (batch, out_height, out_width, filters); all dense. PASS is the op: 0
// forward, 1 the gradient of the image, 2 that of the filters. Groups are the batch of the product.
struct Params {
  TS x, w, y, bias;
  int batch, height, width, channels;
  int filters, taps_high, taps_wide;
  int out_height, out_width;
  int channels_per_group, filters_per_group;
  ivec2 strides, dilation, before;  // vertical, horizontal; before: padding at the top and left
  int has_bias;
  Tiling tiling;
};
PARAMS_IN_MEMORY(Params)

// The logarithms of strides that are powers of two, else -1. They replace divisions, which are slow.
layout(constant_id = 3) const int log2_vertical_stride = -1;
layout(constant_id = 4) const int log2_horizontal_stride = -1;
const bool unit_strides = log2_vertical_stride == 0 && log2_horizontal_stride == 0;

bool inside(int place, int extent) { return uint(place) < uint(extent); }

// The output's row (axis 0) or column (axis 1) whose tap at distance `tap` from its first one is at `place` in the
// padded image, or -1 if there is none.
int output_index(Params p, int axis, int place, int tap, int extent) {
  const int start = place - tap, stride = p.strides[axis];
  const int log2_stride = axis == 0 ? log2_vertical_stride : log2_horizontal_stride;
  const int pixel = log2_stride >= 0 ? start >> log2_stride : start / stride;
  return start >= 0 && pixel * stride == start && pixel < extent ? pixel : -1;
}

// A place in a batch of images or outputs.
struct Pixel {
  int n, h, v;
};
Pixel pixel_of(uint number, int height, int width) {
  const uint line = number / uint(width), n = line / uint(height);
  return Pixel(int(n), int(line - n * uint(height)), int(number - line * uint(width)));
}

// A position in a filter: a tap, by its distance from the first one, and a channel of the group.
struct Tap {
  int h, v;
  uint channel;
};
Tap tap_of(Params p, uint number, int channels) {
  const uint tap = number / uint(channels), high = tap / uint(p.taps_wide);
  return Tap(int(high) * p.dilation[0], int(tap - high * uint(p.taps_wide)) * p.dilation[1],
             number - tap * uint(channels));
}

// The batch of the product: the number of a group of channels and filters.
#define Batch uint
Batch batch_of(Params p, uint group) { return group; }

Target result_of(Params p, Batch group) {
#if PASS == 0
  return Target(p.y + group * p.filters_per_group, p.filters, 1, p.tiling.rows, p.tiling.columns);
#elif PASS == 1
  return Target(p.x + group * p.channels_per_group, p.channels, 1, p.tiling.rows, p.tiling.columns);
#else
  return Target(p.w + uint64_t(group * p.filters_per_group) * p.tiling.rows, 1, p.tiling.rows, p.tiling.rows,
                p.tiling.columns);
#endif
}

T added_to(Params p, Batch group, uint column) {
#if PASS == 0
  if (p.has_bias != 0) return (p.bias + (group * p.filters_per_group + column)).v;
#endif
  return T(0);
}
