// A convolution as a matrix product in which the matrix of patches is not stored (implicit im2col). This file defines
// which elements are in a row of that matrix.
//
// A row belongs to one pixel of the tensor that is computed (for the filter's gradient: summed over). It holds, tap
// after tap, the channels that this pixel meets in the other tensor.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "backends/cpu/conv/shape.h"
#include "backends/cpu/linalg/blocked_product.h"

namespace cpu {

/// For one side, height or width: the position that tap k of pixel p meets, or -1 in the padding.
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

/// Which pixels meet which: maps pixels of the result to pixels of the image or, if `backward`, pixels of the image to
/// pixels of the result.
struct PatchMap {
  std::int64_t rows, columns;  // of the tensor to whose pixels the rows of the matrix belong
  std::int64_t kernel_width;
  std::int64_t all_channels, channels;  // of the other tensor, and of one group of it
  bool taps_join;                       // adjacent taps of a line are contiguous in memory
  std::int64_t step[2];                 // pixels this far apart meet the same taps, except at the edges
  PatchSide vertical, horizontal;

  PatchMap(const ConvShape& s, bool backward)
      : rows(backward ? s.height : s.out_height),
        columns(backward ? s.width : s.out_width),
        kernel_width(s.kernel_width),
        all_channels(backward ? s.filters : s.channels),
        channels(all_channels / s.groups),
        taps_join(!backward && s.groups == 1 && s.dilation[1] == 1),
        step{backward ? s.stride[0] : 1, backward ? s.stride[1] : 1},
        vertical(rows, s.kernel_height, backward ? s.out_height : s.height, s.stride[0], s.dilation[0], s.before[0],
                 backward),
        horizontal(columns, s.kernel_width, backward ? s.out_width : s.width, s.stride[1], s.dilation[1], s.before[1],
                   backward) {}

  std::int64_t image_size() const { return vertical.extent * horizontal.extent * all_channels; }
};

/// A subset of the pixels: every step-th line and column from the first on.
struct PixelGrid {
  std::int64_t first_line, first_column, lines, columns;

  std::int64_t per_image() const { return lines * columns; }
};

/// An iterator over the pixels of a grid, through all images. It advances without a division.
class Pixel {
 public:
  Pixel(const PatchMap& map, const PixelGrid& grid, std::int64_t n, std::int64_t line_step, std::int64_t column_step)
      : map_(map),
        grid_(grid),
        line_step_(line_step),
        column_step_(column_step),
        column_(n % grid.columns),
        line_(n / grid.columns % grid.lines),
        image_(n / grid.columns / grid.lines) {
    find();
  }
  Pixel(const PatchMap& map, const PixelGrid& grid, std::int64_t n) : Pixel(map, grid, n, map.step[0], map.step[1]) {}
  /// Iterates over all pixels.
  Pixel(const PatchMap& map, std::int64_t n) : Pixel(map, {0, 0, map.rows, map.columns}, n, 1, 1) {}

  void next() {
    if (++column_ == grid_.columns) {
      column_ = 0;
      if (++line_ == grid_.lines) line_ = 0, ++image_;
    }
    find();
  }
  std::int64_t image() const { return image_; }
  /// Its number among all pixels.
  std::int64_t number() const { return (image_ * map_.rows + at_line_) * map_.columns + at_column_; }
  const std::int64_t* vertical() const { return map_.vertical.of_pixel(at_line_); }
  const std::int64_t* horizontal() const { return map_.horizontal.of_pixel(at_column_); }

 private:
  void find() {
    at_line_ = grid_.first_line + line_ * line_step_;
    at_column_ = grid_.first_column + column_ * column_step_;
  }

  const PatchMap& map_;
  PixelGrid grid_;
  std::int64_t line_step_, column_step_;
  std::int64_t column_, line_, image_, at_line_ = 0, at_column_ = 0;
};

/// Part of a row: `count` elements from `channel` of tap (kh, kw) on, through the taps up to (kh, last_kw). `place` is
/// their offset in the packed operand.
struct PatchRun {
  std::int64_t kh, kw, last_kw, channel, count, place;
};

/// The run of at most `most` elements of a row that starts at `element`. It spans several taps if map.taps_join.
inline PatchRun run_from(const PatchMap& map, std::int64_t element, std::int64_t most, std::int64_t place) {
  const std::int64_t tap = element / map.channels, channel = element % map.channels;
  const std::int64_t kh = tap / map.kernel_width, kw = tap % map.kernel_width;
  const std::int64_t line = map.taps_join ? (map.kernel_width - kw) * map.channels : map.channels;
  const std::int64_t count = std::min(line - channel, most);
  return {kh, kw, kw + (channel + count - 1) / map.channels, channel, count, place};
}

template <class T>
class Patches {
 public:
  Patches(const PatchMap& map, const T* data, std::int64_t group) : map_(map), data_(data + group * map.channels) {}

  const PatchMap& map() const { return map_; }

  /// The elements of a tap, or nullptr if it is in the padding.
  const T* at(const Pixel& pixel, std::int64_t kh, std::int64_t kw) const {
    const std::int64_t h = pixel.vertical()[kh], w = pixel.horizontal()[kw];
    if ((h | w) < 0) return nullptr;
    return data_ + pixel.image() * map_.image_size() + (h * map_.horizontal.extent + w) * map_.all_channels;
  }

  /// Calls use(from, count, place) for the contiguous parts of a run; `from` is nullptr in the padding.
  template <class Use>
  void read(const Pixel& pixel, const PatchRun& run, Use&& use) const {
    const T* const first = at(pixel, run.kh, run.kw);
    if (run.kw == run.last_kw) return use(first ? first + run.channel : nullptr, run.count, run.place);
    if (first && pixel.horizontal()[run.last_kw] >= 0) return use(first + run.channel, run.count, run.place);
    std::int64_t channel = run.channel, done = 0;
    for (std::int64_t kw = run.kw; kw <= run.last_kw; ++kw, channel = 0) {
      const std::int64_t count = std::min(map_.channels - channel, run.count - done);
      const T* const from = at(pixel, run.kh, kw);
      use(from ? from + channel : nullptr, count, run.place + done);
      done += count;
    }
  }

  /// Copies runs of one row to `to` + place, with zeros for padding.
  void copy(const Pixel& pixel, std::span<const PatchRun> runs, T* to) const {
    for (const PatchRun& run : runs) {
      read(pixel, run, [&](const T* from, std::int64_t count, std::int64_t place) { move(from, count, to + place); });
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

  const PatchMap& map_;
  const T* data_;
};

/// A slice of the rows of a class of pixels. It holds only the elements that some pixel of the class meets, without
/// gaps.
struct PatchSlice {
  std::vector<PatchRun> runs;
  std::int64_t depth = 0;   // elements
  std::int64_t offset = 0;  // elements of all earlier slices, in all classes
};

/// Pixels that meet the same taps, except at the edges. With strides, most taps of an image pixel meet no result. Those
/// taps are left out, and so are their products, which would be zeros.
struct PatchClass {
  PixelGrid grid;
  std::vector<PatchSlice> slices;
};

inline std::vector<PatchClass> patch_classes(const PatchMap& map, std::int64_t elements) {
  std::vector<PatchClass> classes;
  std::int64_t offset = 0;
  // Whether tap k meets anything at pixel p or at any later pixel a multiple of `step` away.
  const auto meets = [](const PatchSide& side, std::int64_t pixels, std::int64_t step, std::int64_t p, std::int64_t k) {
    for (; p < pixels; p += step) {
      if (side.of_pixel(p)[k] >= 0) return true;
    }
    return false;
  };
  for (std::int64_t line = 0; line < std::min(map.step[0], map.rows); ++line) {
    for (std::int64_t column = 0; column < std::min(map.step[1], map.columns); ++column) {
      PatchClass c{{line, column, (map.rows - line + map.step[0] - 1) / map.step[0],
                    (map.columns - column + map.step[1] - 1) / map.step[1]},
                   {}};
      for (std::int64_t first = 0; first < elements; first += max_depth) {
        PatchSlice slice;
        slice.offset = offset;
        for (std::int64_t e = first, end = std::min(first + max_depth, elements); e < end;) {
          const PatchRun run = run_from(map, e, end - e, slice.depth);
          e += run.count;
          const bool whole = map.step[0] * map.step[1] == 1;
          if (!whole && !(meets(map.vertical, map.rows, map.step[0], line, run.kh) &&
                          meets(map.horizontal, map.columns, map.step[1], column, run.kw))) {
            continue;
          }
          slice.runs.push_back(run);
          slice.depth += run.count;
        }
        offset += slice.depth;
        c.slices.push_back(std::move(slice));
      }
      classes.push_back(std::move(c));
    }
  }
  return classes;
}

/// Packs a slice of the rows of pixels of a grid as a left operand.
template <class T>
PackedLeft<T> pack_patch_rows(const Patches<T>& patches, const PixelGrid& grid, const PatchSlice& slice,
                              std::int64_t row, std::int64_t rows, T* to) {
  Pixel pixel(patches.map(), grid, row);
  for (std::int64_t r = 0; r < rows; ++r, pixel.next()) {
    patches.copy(pixel, slice.runs, to + r * LeftPanels<T>::row_step);
  }
  clear_rows_below(rows, slice.depth, to);
  return {{to, true}, slice.depth};
}

/// Packs elements [column, column + columns) of `depth` rows as a right operand. Each row is one step of k.
template <class T>
const T* pack_patch_columns(const Patches<T>& patches, std::int64_t column, std::int64_t columns, std::int64_t row,
                            std::int64_t depth, T* to) {
  constexpr std::int64_t width = tile_columns<T>;
  std::array<PatchRun, 512> runs;  // at most one per column of a block
  std::size_t count = 0;
  for (std::int64_t e = 0; e < columns;) {
    const std::int64_t most = std::min(columns - e, width - e % width);
    runs[count] = run_from(patches.map(), column + e, most, e / width * width * depth + e % width);
    e += runs[count++].count;
  }
  if (columns % width != 0) {
    T* const last = to + columns / width * width * depth;
    std::memset(last, 0, static_cast<std::size_t>(width * depth) * sizeof(T));
  }
  Pixel pixel(patches.map(), row);
  for (std::int64_t p = 0; p < depth; ++p, pixel.next()) patches.copy(pixel, {runs.data(), count}, to + p * width);
  return to;
}

}  // namespace cpu
