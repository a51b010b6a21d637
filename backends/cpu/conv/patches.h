// A convolution as a matrix product, without the matrix: which elements stand in a row of it.
//
// A row belongs to one pixel of the tensor that is computed (or, for the filter's gradient, summed over) and holds, tap
// after tap, the channels that this pixel meets in the other tensor.
#pragma once

#include <algorithm>
#include <cstring>

#include "backends/cpu/conv/shape.h"

namespace cpu {

/// One side, height or width, of the walk.
struct PatchSide {
  std::int64_t extent, stride, dilation, before;
  bool backward;

  /// The position that tap `k` of pixel `p` meets, or -1 in the padding.
  std::int64_t position(std::int64_t p, std::int64_t k) const {
    if (!backward) {
      const std::int64_t at = p * stride - before + k * dilation;
      return at >= 0 && at < extent ? at : -1;
    }
    const std::int64_t start = p + before - k * dilation;
    return start >= 0 && start % stride == 0 && start / stride < extent ? start / stride : -1;
  }
};

template <class T>
class Patches {
 public:
  /// Of the image, as the results see it; or with `backward` of the results, as the image sees them.
  Patches(const ConvShape& s, const T* data, std::int64_t group, bool backward)
      : data_(data),
        rows_(backward ? s.height : s.out_height),
        columns_(backward ? s.width : s.out_width),
        kernel_width_(s.kernel_width),
        all_channels_(backward ? s.filters : s.channels),
        channels_(all_channels_ / s.groups),
        first_channel_(group * channels_),
        vertical_{backward ? s.out_height : s.height, s.stride[0], s.dilation[0], s.before[0], backward},
        horizontal_{backward ? s.out_width : s.width, s.stride[1], s.dilation[1], s.before[1], backward} {}

  /// Calls run(place, from, count) for elements k … k + depth of a row: `count` of them lie at `from`, nullptr for
  /// padding, and belong at `place` within the slice.
  template <class Run>
  void read(std::int64_t row, std::int64_t k, std::int64_t depth, Run&& run) const {
    const std::int64_t column = row % columns_, image = row / columns_ / rows_, line = row / columns_ % rows_;
    std::int64_t tap = k / channels_, channel = k % channels_;
    for (std::int64_t place = 0; place < depth; ++tap, channel = 0) {
      const std::int64_t count = std::min(channels_ - channel, depth - place);
      const std::int64_t h = vertical_.position(line, tap / kernel_width_);
      const std::int64_t w = h < 0 ? -1 : horizontal_.position(column, tap % kernel_width_);
      const std::int64_t pixel = (image * vertical_.extent + h) * horizontal_.extent + w;
      run(place, w < 0 ? nullptr : data_ + pixel * all_channels_ + first_channel_ + channel, count);
      place += count;
    }
  }

 private:
  const T* data_;
  std::int64_t rows_, columns_, kernel_width_, all_channels_, channels_, first_channel_;
  PatchSide vertical_, horizontal_;
};

/// Packs rows of the matrix as lanes of panels `width` wide, elements as steps.
template <int width, class T>
void pack_rows(const Patches<T>& patches, std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth,
               T* to) {
  for (std::int64_t first = 0; first < rows; first += width, to += width * depth) {
    const auto lanes = static_cast<int>(std::min<std::int64_t>(width, rows - first));
    if (lanes < width) std::memset(to, 0, static_cast<std::size_t>(width * depth) * sizeof(T));
    for (int lane = 0; lane < lanes; ++lane) {
      patches.read(row + first + lane, k, depth, [&](std::int64_t place, const T* from, std::int64_t count) {
        T* const out = to + place * width + lane;
        for (std::int64_t i = 0; i < count; ++i) out[i * width] = from ? from[i] : T{0};
      });
    }
  }
}

/// Packs elements of the rows as lanes of panels `width` wide, rows as steps.
template <int width, class T>
void pack_columns(const Patches<T>& patches, std::int64_t column, std::int64_t columns, std::int64_t row,
                  std::int64_t depth, T* to) {
  for (std::int64_t first = 0; first < columns; first += width, to += width * depth) {
    const std::int64_t lanes = std::min<std::int64_t>(width, columns - first);
    if (lanes < width) std::memset(to, 0, static_cast<std::size_t>(width * depth) * sizeof(T));
    for (std::int64_t p = 0; p < depth; ++p) {
      patches.read(row + p, column + first, lanes, [&](std::int64_t place, const T* from, std::int64_t count) {
        T* const out = to + p * width + place;
        const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
        from ? std::memcpy(out, from, bytes) : std::memset(out, 0, bytes);
      });
    }
  }
}

}  // namespace cpu
