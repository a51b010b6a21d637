// The products of one output element, over positions of one chunk.
#if PASS == 2
T chunk_sum(Params p, Batch group, Tile tile, uint begin, uint end) {
  const Tap tap = tap_of(p, tile.row, p.channels_per_group);
  const uint channel = group * p.channels_per_group + tap.channel;
  const uint o = group * p.filters_per_group + tile.column;
  precise T sum = T(0);
  Pixel at = pixel_of(begin, p.out_height, p.out_width);
  for (uint k = begin; k < end; ++k) {
    const int h = at.h * p.strides[0] - p.before[0] + tap.h, v = at.v * p.strides[1] - p.before[1] + tap.v;
    if (inside(h, p.height) && inside(v, p.width)) {
      const uint64_t pixel = (uint64_t(at.n) * p.height + h) * p.width + v;
      precise T product = (p.x + (pixel * p.channels + channel)).v * (p.y + (uint64_t(k) * p.filters + o)).v;
      sum = sum + product;
    }
    if (++at.v == p.out_width) {
      at.v = 0;
      if (++at.h == p.out_height) {
        at.h = 0;
        ++at.n;
      }
    }
  }
  return sum;
}
#else
// Adds, for each tap, the products of its channels that are in the chunk. A tap without a term adds nothing.
T chunk_sum(Params p, Batch group, Tile tile, uint begin, uint end) {
#if PASS == 0
  const uint channels = p.channels_per_group;
  const Pixel at = pixel_of(tile.row, p.out_height, p.out_width);
#else
  const uint channels = p.filters_per_group;
  const Pixel at = pixel_of(tile.row, p.height, p.width);
#endif
  const uint taps = p.taps_high * p.taps_wide, first_channel = group * channels;
  precise T sum = T(0);
  for (uint tap = begin / channels; tap * channels < end; ++tap) {
    const int tap_h = int(tap) / p.taps_wide * p.dilation[0], tap_v = int(tap) % p.taps_wide * p.dilation[1];
#if PASS == 0
    const int h = at.h * p.strides[0] - p.before[0] + tap_h, v = at.v * p.strides[1] - p.before[1] + tap_v;
    const bool meets = inside(h, p.height) && inside(v, p.width);
    TS left = p.x + (((uint64_t(at.n) * p.height + h) * p.width + v) * p.channels + first_channel);
    TS right = p.w + (uint64_t(group * p.filters_per_group + tile.column) * taps + tap) * channels;
    const uint64_t step = 1;
#else
    const int h = output_index(p, 0, at.h + p.before[0], tap_h, p.out_height);
    const int v = output_index(p, 1, at.v + p.before[1], tap_v, p.out_width);
    const bool meets = h >= 0 && v >= 0;
    TS left = p.y + (((uint64_t(at.n) * p.out_height + h) * p.out_width + v) * p.filters + first_channel);
    const uint64_t step = taps * p.channels_per_group;
    TS right = p.w + (first_channel * step + (tap * p.channels_per_group + tile.column));
#endif
    const uint from = max(tap * channels, begin) - tap * channels;
    const uint to = meets ? min((tap + 1) * channels, end) - tap * channels : from;
    for (uint i = from; i < to; ++i) {
      precise T product = (left + i).v * (right + i * step).v;
      sum = sum + product;
    }
  }
  return sum;
}
#endif
