// A convolution as the host describes it (kernels/conv2d.cpp): x is (batch, height, width, channels), w is (filters,
// taps_high, taps_wide, channels / groups), y is (batch, out_height, out_width, filters); all dense. PASS is the op: 0
// forward, 1 the gradient of the image, 2 that of the filters. Groups are the batch of the product.
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params {
  TS x, w, y, bias;
  int batch, height, width, channels;
  int filters, taps_high, taps_wide;
  int out_height, out_width;
  int channels_per_group, filters_per_group;
  ivec2 strides, dilation, before;  // vertical, horizontal; before: padding at the top and left
  int has_bias;
  Tiling tiling;
};

bool inside(int place, int extent) { return uint(place) < uint(extent); }

// The output's row or column (axis 1) that has a tap, so far from its first, at a padded image's `place`, or -1.
int meeting(Params p, int axis, int place, int tap, int extent) {
  const int start = place - tap, stride = p.strides[axis];
  const int pixel = stride == 1 ? start : start / stride;
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

// A position of a filter: a tap, from the first, and a channel of the group.
struct Tap {
  int h, v;
  uint channel;
};
Tap tap_of(Params p, uint number, int channels) {
  const uint tap = number / uint(channels), high = tap / uint(p.taps_wide);
  return Tap(int(high) * p.dilation[0], int(tap - high * uint(p.taps_wide)) * p.dilation[1],
             number - tap * uint(channels));
}

void put_result(Params p, uint group, uint row, uint column, T sum) {
#if PASS == 0
  const uint o = group * p.filters_per_group + column;
  precise T biased = sum;
  if (p.has_bias != 0) biased = sum + (p.bias + o).v;
  (p.y + (uint64_t(row) * p.filters + o)).v = biased;
#elif PASS == 1
  (p.x + (uint64_t(row) * p.channels + (group * p.channels_per_group + column))).v = sum;
#else
  (p.w + (uint64_t(group * p.filters_per_group + column) * p.tiling.rows + row)).v = sum;
#endif
}
