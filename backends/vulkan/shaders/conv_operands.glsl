// A convolution as a product of matrices: what the rows of the left and the columns of the right side are, and where
// their elements lie. Within an image or the filters, 32 bits count.
#if PASS == 0
// Output pixels, times filters; positions are taps and channels.
struct Row {
  TS image;
  int h, v;
};
#define LeftPosition Tap
#define RightPosition uint

Row row_of(Params p, Tile tile, uint row) {
  const Pixel at = pixel_of(row, p.out_height, p.out_width);
  const uint64_t image = uint64_t(at.n) * uint(p.height * p.width * p.channels);
  return Row(p.x + (image + tile.batch * p.channels_per_group), at.h * p.strides[0] - p.before[0],
             at.v * p.strides[1] - p.before[1]);
}
Tap left_position(Params p, uint k) { return tap_of(p, k, p.channels_per_group); }
bool has_term(Params p, Row row, Tap at) { return inside(row.h + at.h, p.height) && inside(row.v + at.v, p.width); }
T left_element(Params p, Row row, Tap at) {
  if (!has_term(p, row, at)) return T(0);
  return (row.image + (uint((row.h + at.h) * p.width + row.v + at.v) * p.channels + at.channel)).v;
}
struct Column {
  TS at;
};
Column column_of(Params p, Tile tile, uint column) {
  return Column(p.w + uint64_t(tile.batch * p.filters_per_group + column) * p.tiling.depth);
}
uint right_position(Params p, uint k) { return k; }
T right_element(Params p, Column column, uint k) { return (column.at + k).v; }

#elif PASS == 1
// The image's pixels, times its channels; positions are taps and filters.
struct Row {
  TS image;
  int h, v;
};
#define LeftPosition Tap
#define RightPosition uint

Row row_of(Params p, Tile tile, uint row) {
  const Pixel at = pixel_of(row, p.height, p.width);
  const uint64_t image = uint64_t(at.n) * uint(p.out_height * p.out_width * p.filters);
  return Row(p.y + (image + tile.batch * p.filters_per_group), at.h + p.before[0], at.v + p.before[1]);
}
Tap left_position(Params p, uint k) { return tap_of(p, k, p.filters_per_group); }
bool has_term(Params p, Row row, Tap at) {
  return meeting(p, 0, row.h, at.h, p.out_height) >= 0 && meeting(p, 1, row.v, at.v, p.out_width) >= 0;
}
T left_element(Params p, Row row, Tap at) {
  const int h = meeting(p, 0, row.h, at.h, p.out_height), v = meeting(p, 1, row.v, at.v, p.out_width);
  if (h < 0 || v < 0) return T(0);
  return (row.image + (uint(h * p.out_width + v) * p.filters + at.channel)).v;
}
struct Column {
  TS at;
};
Column column_of(Params p, Tile tile, uint column) {
  const uint per_filter = p.taps_high * p.taps_wide * p.channels_per_group;
  return Column(p.w + (uint64_t(tile.batch * p.filters_per_group) * per_filter + column));
}
uint right_position(Params p, uint k) {
  const uint tap = k / p.filters_per_group, filter_number = k - tap * p.filters_per_group;
  return (filter_number * (p.taps_high * p.taps_wide) + tap) * p.channels_per_group;
}
T right_element(Params p, Column column, uint at) { return (column.at + at).v; }

#else
// Taps and channels, times filters; positions are output pixels.
struct Row {
  Tap at;
};
struct LeftPosition {
  TS image;
  int h, v;
};
#define RightPosition uint64_t

Row row_of(Params p, Tile tile, uint row) {
  Tap at = tap_of(p, row, p.channels_per_group);
  at.channel += tile.batch * p.channels_per_group;
  return Row(at);
}
LeftPosition left_position(Params p, uint k) {
  const Pixel at = pixel_of(k, p.out_height, p.out_width);
  const uint64_t image = uint64_t(at.n) * uint(p.height * p.width * p.channels);
  return LeftPosition(p.x + image, at.h * p.strides[0] - p.before[0], at.v * p.strides[1] - p.before[1]);
}
bool has_term(Params p, Row row, LeftPosition k) {
  return inside(k.h + row.at.h, p.height) && inside(k.v + row.at.v, p.width);
}
T left_element(Params p, Row row, LeftPosition k) {
  if (!has_term(p, row, k)) return T(0);
  return (k.image + (uint((k.h + row.at.h) * p.width + k.v + row.at.v) * p.channels + row.at.channel)).v;
}
struct Column {
  TS at;
};
Column column_of(Params p, Tile tile, uint column) {
  return Column(p.y + (tile.batch * p.filters_per_group + column));
}
uint64_t right_position(Params p, uint k) { return uint64_t(k) * p.filters; }
T right_element(Params p, Column column, uint64_t at) { return (column.at + at).v; }
#endif
