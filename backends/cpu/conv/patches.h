// A convolution as a matrix product, without the matrix: which elements stand in a row of it.
//
// A row belongs to one pixel of the tensor that is computed (or, for the filter's gradient, summed over) and holds, tap
// after tap, the channels that this pixel meets in the other tensor.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "backends/cpu/conv/shape.h"
#include "backends/cpu/linalg/blocked_product.h"

namespace cpu {

/// One side, height or width: the position that tap k of pixel p meets, or -1 in the padding.
class PatchSide {
 public:
  PatchSide(std::int64_t pixels, std::int64_t taps, std::int64_t other_extent, std::int64_t stride,
            std::int64_t dilation, std::int64_t before, bool backward)
      : extent(other_extent), taps_(taps) {
    positions_.reserve(static_cast<std::size_t>(pixels * taps));
    for (std::int64_t p = 0; p < pixels; ++p) {
      for (std::int64_t k = 0; k < taps; ++k) {
        const std::int64_t start = backward ? p + before - k * dilation : p * stride - before + k * dilation;
        const std::int64_t at = backward ? start / stride : start;
        const bool inside = start >= 0 && (!backward || start % stride == 0) && at < extent;
        positions_.push_back(inside ? at : -1);
      }
    }
  }

  std::int64_t position(std::int64_t p, std::int64_t k) const { return of_pixel(p)[k]; }
  const std::int64_t* of_pixel(std::int64_t p) const { return positions_.data() + p * taps_; }

  std::int64_t extent;

 private:
  std::int64_t taps_;
  std::vector<std::int64_t> positions_;
};

/// Which pixels meet which: of the image, as the results see it; or with `backward` of the results, as the image sees
/// them.
struct PatchMap {
  std::int64_t rows, columns;  // of the tensor whose pixels the matrix' rows belong to
  std::int64_t kernel_width;
  std::int64_t all_channels, channels;  // of the other tensor, and of one group of it
  bool taps_join;                       // neighbouring taps of a line lie side by side in memory
  PatchSide vertical, horizontal;

  PatchMap(const ConvShape& s, bool backward)
      : rows(backward ? s.height : s.out_height),
        columns(backward ? s.width : s.out_width),
        kernel_width(s.kernel_width),
        all_channels(backward ? s.filters : s.channels),
        channels(all_channels / s.groups),
        taps_join(!backward && s.groups == 1 && s.dilation[1] == 1),
        vertical(rows, s.kernel_height, backward ? s.out_height : s.height, s.stride[0], s.dilation[0], s.before[0],
                 backward),
        horizontal(columns, s.kernel_width, backward ? s.out_width : s.width, s.stride[1], s.dilation[1], s.before[1],
                   backward) {}

  std::int64_t image_size() const { return vertical.extent * horizontal.extent * all_channels; }
};

/// One of the rows, counted through all images; moves on without a division.
class Pixel {
 public:
  Pixel(const PatchMap& map, std::int64_t row)
      : map_(map),
        column_(row % map.columns),
        line_(row / map.columns % map.rows),
        image_(row / map.columns / map.rows) {}

  void next() {
    if (++column_ < map_.columns) return;
    column_ = 0;
    if (++line_ < map_.rows) return;
    line_ = 0;
    ++image_;
  }
  std::int64_t image() const { return image_; }
  const std::int64_t* vertical() const { return map_.vertical.of_pixel(line_); }
  const std::int64_t* horizontal() const { return map_.horizontal.of_pixel(column_); }

 private:
  const PatchMap& map_;
  std::int64_t column_, line_, image_;
};

/// Part of a row: `count` elements from `channel` of tap (kh, kw) on, through the taps up to (kh, last_kw). They belong
/// at `place`.
struct PatchRun {
  std::int64_t kh, kw, last_kw, channel, count, place;
};

/// Elements first … first + count of a row as runs, none of which crosses a multiple of `split` elements. place(e) says
/// where element first + e belongs. Runs of several taps are made where those may join.
class PatchRuns {
 public:
  template <class Place>
  PatchRuns(const PatchMap& map, std::int64_t first, std::int64_t count, std::int64_t split, Place&& place) {
    for (std::int64_t e = 0; e < count;) {
      const std::int64_t tap = (first + e) / map.channels, channel = (first + e) % map.channels;
      const std::int64_t kh = tap / map.kernel_width, kw = tap % map.kernel_width;
      const std::int64_t line = map.taps_join ? (map.kernel_width - kw) * map.channels : map.channels;
      const std::int64_t n = std::min({line - channel, count - e, split - e % split});
      runs_[static_cast<std::size_t>(size_++)] = {kh, kw, kw + (channel + n - 1) / map.channels, channel, n, place(e)};
      e += n;
    }
  }
  const PatchRun* begin() const { return runs_.data(); }
  const PatchRun* end() const { return runs_.data() + size_; }

 private:
  std::array<PatchRun, 512> runs_;  // as many as a slice or a block has elements
  std::ptrdiff_t size_ = 0;
};

template <class T>
class Patches {
 public:
  Patches(const PatchMap& map, const T* data, std::int64_t group)
      : map_(map), data_(data + group * map.channels), join_step_(map.channels) {}

  const PatchMap& map() const { return map_; }

  /// The elements of a tap, or nullptr in the padding.
  const T* at(const Pixel& pixel, std::int64_t kh, std::int64_t kw) const {
    const std::int64_t h = pixel.vertical()[kh], w = pixel.horizontal()[kw];
    if ((h | w) < 0) return nullptr;
    return data_ + pixel.image() * map_.image_size() + (h * map_.horizontal.extent + w) * map_.all_channels;
  }

  /// Copies the runs of one row, zeros for padding, to `to` + their places.
  void copy(const Pixel& pixel, const PatchRuns& runs, T* to) const {
    for (const PatchRun& run : runs) {
      const T* from = at(pixel, run.kh, run.kw);
      if (run.kw == run.last_kw) {
        move(from ? from + run.channel : nullptr, run.count, to + run.place);
      } else if (from && pixel.horizontal()[run.last_kw] >= 0) {
        move(from + run.channel, run.count, to + run.place);
      } else {
        copy_by_tap(pixel, run, to + run.place);
      }
    }
  }

 private:
  static void move(const T* from, std::int64_t count, T* to) {
    constexpr std::int64_t whole = tile_columns<T>;
    if (!from) {
      std::memset(to, 0, static_cast<std::size_t>(count) * sizeof(T));
    } else if (count == whole) {
      std::memcpy(to, from, whole * sizeof(T));
    } else {
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
    }
  }

  void copy_by_tap(const Pixel& pixel, const PatchRun& run, T* to) const {
    std::int64_t channel = run.channel, left = run.count;
    for (std::int64_t kw = run.kw; kw <= run.last_kw; ++kw, channel = 0) {
      const std::int64_t n = std::min(join_step_ - channel, left);
      const T* from = at(pixel, run.kh, kw);
      move(from ? from + channel : nullptr, n, to);
      to += n;
      left -= n;
    }
  }

  const PatchMap& map_;
  const T* data_;
  std::int64_t join_step_;
};

/// Packs elements k … k + depth of rows as a left operand.
template <class T>
LeftPanels<T> pack_patch_rows(const Patches<T>& patches, std::int64_t row, std::int64_t rows, std::int64_t k,
                              std::int64_t depth, T* to) {
  const PatchRuns runs(patches.map(), k, depth, most_depth, [](std::int64_t e) { return e; });
  Pixel pixel(patches.map(), row);
  for (std::int64_t r = 0; r < rows; ++r, pixel.next()) patches.copy(pixel, runs, to + r * LeftPanels<T>::row_step);
  clear_rows_below(rows, depth, to);
  return {to, true};
}

/// Packs elements column … column + columns of rows as a right operand: rows are its steps of k.
template <class T>
const T* pack_patch_columns(const Patches<T>& patches, std::int64_t column, std::int64_t columns, std::int64_t row,
                            std::int64_t depth, T* to) {
  constexpr std::int64_t width = tile_columns<T>;
  const PatchRuns runs(patches.map(), column, columns, width,
                       [&](std::int64_t e) { return e / width * width * depth + e % width; });
  if (columns % width != 0) {
    T* const last = to + columns / width * width * depth;
    std::memset(last, 0, static_cast<std::size_t>(width * depth) * sizeof(T));
  }
  Pixel pixel(patches.map(), row);
  for (std::int64_t p = 0; p < depth; ++p, pixel.next()) patches.copy(pixel, runs, to + p * width);
  return to;
}

}  // namespace cpu
