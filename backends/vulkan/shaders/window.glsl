// Windows over dense NHWC images (kernels/pool2d.cpp). One of T_F32, T_F64 is defined. MORE_PARAMS are parameters that
// only one shader has.
#include "number.glsl"
#include "strided.glsl"

struct Params {
  uint64_t a, b, c;  // tensors, the op's inputs first
  uint64_t count;    // elements of the result
  uint channels;
  int height, width;                // of the image
  int pooled_height, pooled_width;  // of the result of pooling
  int window_height, window_width;
  int stride_height, stride_width;
  int top, left;  // padding
#ifdef MORE_PARAMS
  MORE_PARAMS
#endif
};
#ifdef CHECK_FIELDS
PARAMS_IN_MEMORY(Params)
#else
PUSHED_PARAMS(Params)
#endif

// The indices of a row-major position in a tensor (N, height, width, channels).
struct Pixel {
  uint64_t image;
  int row, column;
  uint channel;
};

Pixel pixel_of(uint64_t position, int height, int width, uint channels) {
  Pixel at;
  at.channel = uint(take_digit(position, channels));
  at.column = int(take_digit(position, width));
  at.row = int(take_digit(position, height));
  at.image = position;
  return at;
}

uint64_t position_of(Pixel at, int row, int column, int height, int width, uint channels) {
  return ((at.image * height + row) * width + column) * channels + at.channel;
}

// The taps of a window, from `first` up to `end`, that lie inside the image.
void taps_inside(int start, int window, int extent, out int first, out int end) {
  first = max(0, -start);
  end = min(window, extent - start);
}

// The windows that cover the row or column `place`, from `first` up to `end`.
void windows_over(int place, int padding, int window, int stride, int pooled, out int first, out int end) {
  const int reach = place + padding - window + 1;
  first = reach <= 0 ? 0 : (reach + stride - 1) / stride;
  end = min(pooled, (place + padding) / stride + 1);
}

// The position in the image of a window's tap, without regard to borders: taps are data and may have any value.
int64_t position_of_tap(Params p, Pixel window, int tap) {
  const int row = tap / p.window_width, column = tap - row * p.window_width;
  const int64_t h = int64_t(window.row) * p.stride_height - p.top + row;
  const int64_t w = int64_t(window.column) * p.stride_width - p.left + column;
  return ((int64_t(window.image) * p.height + h) * p.width + w) * p.channels + window.channel;
}
