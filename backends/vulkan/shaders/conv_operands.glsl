// A convolution as a matrix product: what the rows of the left and the columns of the right operand are, and where
// their elements are in memory. Offsets within an image or the filters fit into 32 bits.
struct Column {
  TS at;
};

#if PASS != 2
// Positions are pairs of a tap and a channel or filter.
struct Position {
  uint k, tap;
  Tap at;
  int offset;  // of the tap and channel in the image
};

#if PASS == 0
#define DEEP p.channels_per_group
#define WIDE p.width
#define FEATURES p.channels
#else
#define DEEP p.filters_per_group
#define WIDE p.out_width
#define FEATURES p.filters
#endif
int offset_of(Params p, Tap at) { return (at.h * WIDE + at.v) * FEATURES; }
Position position_of(Params p, uint k) {
  Tap at = tap_of(p, k, DEEP);
  return Position(k, k / DEEP, at, offset_of(p, at));
}
void advance(Params p, inout Position i) {
  ++i.k;
  const bool next_tap = ++i.at.channel == DEEP;
  i.at.channel = next_tap ? 0 : i.at.channel;
  i.tap += next_tap ? 1 : 0;
  i.at.v += next_tap ? p.dilation[1] : 0;
  const bool next_line = i.at.v == p.taps_wide * p.dilation[1];
  i.at.v = next_line ? 0 : i.at.v;
  i.at.h += next_line ? p.dilation[0] : 0;
  i.offset = offset_of(p, i.at);
}

// A pixel: where its taps begin, as a row and a column of the image (PASS 0) or of the padded image (PASS 1), and as an
// offset in elements from the first one of the image or output.
struct Row {
  TS image;
  int h, v, offset;
};
#endif

#if PASS == 0
// Rows are output pixels, columns are filters.
Row row_of(Params p, Batch group, uint row) {
  const Pixel at = pixel_of(row, p.out_height, p.out_width);
  const uint64_t image = uint64_t(at.n) * uint(p.height * p.width * p.channels);
  const int h = at.h * p.strides[0] - p.before[0], v = at.v * p.strides[1] - p.before[1];
  return Row(p.x + (image + group * p.channels_per_group), h, v, (h * p.width + v) * p.channels);
}
bool has_term(Params p, Row row, Position i) {
  return inside(row.h + i.at.h, p.height) && inside(row.v + i.at.v, p.width);
}
T left_element(Params p, Row row, Position i) {
  if (!has_term(p, row, i)) return T(0);
  return (row.image + (uint(row.offset + i.offset) + i.at.channel)).v;
}
Column column_of(Params p, Batch group, uint column) {
  return Column(p.w + uint64_t(group * p.filters_per_group + column) * p.tiling.depth);
}
T right_element(Params p, Column column, Position i) { return (column.at + i.k).v; }

#elif PASS == 1
// Rows are the image's pixels, columns are its channels.
Row row_of(Params p, Batch group, uint row) {
  const Pixel at = pixel_of(row, p.height, p.width);
  const uint64_t image = uint64_t(at.n) * uint(p.out_height * p.out_width * p.filters);
  const int h = at.h + p.before[0], v = at.v + p.before[1];
  return Row(p.y + (image + group * p.filters_per_group), h, v, (h * p.out_width + v) * p.filters);
}
bool has_term(Params p, Row row, Position i) {
  return output_index(p, 0, row.h, i.at.h, p.out_height) >= 0 && output_index(p, 1, row.v, i.at.v, p.out_width) >= 0;
}
T left_element(Params p, Row row, Position i) {
  const int h = output_index(p, 0, row.h, i.at.h, p.out_height), v = output_index(p, 1, row.v, i.at.v, p.out_width);
  if (h < 0 || v < 0) return T(0);
  if (unit_strides) return (row.image + (uint(row.offset - i.offset) + i.at.channel)).v;
  return (row.image + (uint(h * p.out_width + v) * p.filters + i.at.channel)).v;
}
Column column_of(Params p, Batch group, uint column) {
  const uint per_filter = p.taps_high * p.taps_wide * p.channels_per_group;
  return Column(p.w + (uint64_t(group * p.filters_per_group) * per_filter + column));
}
T right_element(Params p, Column column, Position i) {
  return (column.at + (i.at.channel * (p.taps_high * p.taps_wide) + i.tap) * p.channels_per_group).v;
}

#else
// Rows are pairs of a tap and a channel, columns are filters, positions are output pixels. Offsets are in elements from
// an image's first.
struct Row {
  int h, v, offset;
};
struct Position {
  uint k;
  uint64_t image;
  Pixel pixel;
  int h, v, offset;  // of its first tap
};
void place(Params p, inout Position i) {
  i.h = i.pixel.h * p.strides[0] - p.before[0];
  i.v = i.pixel.v * p.strides[1] - p.before[1];
  i.offset = (i.h * p.width + i.v) * p.channels;
}
uint64_t image_bytes(Params p) { return uint64_t(p.x + uint(p.height * p.width * p.channels)) - uint64_t(p.x); }
Position position_of(Params p, uint k) {
  const Pixel pixel = pixel_of(k, p.out_height, p.out_width);
  Position i = Position(k, uint64_t(p.x) + pixel.n * image_bytes(p), pixel, 0, 0, 0);
  place(p, i);
  return i;
}
void advance(Params p, inout Position i) {
  ++i.k;
  const bool next_line = ++i.pixel.v == p.out_width;
  i.pixel.v = next_line ? 0 : i.pixel.v;
  i.pixel.h += next_line ? 1 : 0;
  const bool next_image = i.pixel.h == p.out_height;
  i.pixel.h = next_image ? 0 : i.pixel.h;
  i.image += next_image ? image_bytes(p) : 0;
  place(p, i);
}

Row row_of(Params p, Batch group, uint row) {
  const Tap at = tap_of(p, row, p.channels_per_group);
  return Row(at.h, at.v, (at.h * p.width + at.v) * p.channels + int(at.channel) + int(group) * p.channels_per_group);
}
bool has_term(Params p, Row row, Position i) { return inside(i.h + row.h, p.height) && inside(i.v + row.v, p.width); }
T left_element(Params p, Row row, Position i) {
  if (!has_term(p, row, i)) return T(0);
  return (TS(i.image) + uint(i.offset + row.offset)).v;
}
Column column_of(Params p, Batch group, uint column) { return Column(p.y + (group * p.filters_per_group + column)); }
T right_element(Params p, Column column, Position i) { return (column.at + uint64_t(i.k) * p.filters).v; }
#endif
