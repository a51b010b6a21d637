// The driver's own matrix product. Each block of the result is summed over slices of k. The operands are packed into
// panels that the micro-kernel reads in order. The packing functions define the operands: a matrix with any strides, or
// the patches of an image.
#pragma once

#include <cstring>

#include "backends/cpu/linalg/blocking.h"
#include "backends/cpu/parallel.h"

namespace cpu {

/// A block of the result.
template <class T>
struct ResultBlock {
  T* data;
  std::int64_t row_stride, column_stride;
  std::int64_t row, column, rows, columns;  // its position and size in the whole result
};

/// A stack of blocks of partial sums over slices of k that are not joined yet. The lowest block is the result itself.
template <class T>
class PartialSums {
 public:
  PartialSums(const ResultBlock<T>& result, const Blocking& blocking, T* spare)
      : result_(result), blocking_(blocking), spare_(spare) {}

  /// Pops the partial sums that the next slice is joined with, and pushes the block that receives the joined sums.
  void advance(bool last) {
    parts_ = count_;
    if (blocking_.order == SliceOrder::pairwise && !last) parts_ = std::countr_one(slice_);
    count_ -= parts_ - 1;
    ++slice_;
  }
  /// Calls use(target) for the tile at (r, c) of the block.
  template <class Use>
  void with_target(std::int64_t r, std::int64_t c, Use&& use) const {
    TilePlace<T> parts[64];
    for (int i = 0; i < parts_; ++i) parts[i] = place(count_ - 1 + (parts_ - 1 - i), r, c);
    use(TileTarget<T>{place(count_ - 1, r, c), parts, parts_,
                      static_cast<int>(std::min<std::int64_t>(tile_rows, result_.rows - r)),
                      static_cast<int>(std::min<std::int64_t>(tile_columns<T>, result_.columns - c))});
  }

 private:
  TilePlace<T> place(int part, std::int64_t r, std::int64_t c) const {
    if (part == 0) {
      return {result_.data + r * result_.row_stride + c * result_.column_stride, result_.row_stride,
              result_.column_stride};
    }
    T* const block = spare_ + (part - 1) * blocking_.rows * blocking_.columns;
    return {block + r * blocking_.columns + c, blocking_.columns, 1};
  }

  const ResultBlock<T>& result_;
  const Blocking& blocking_;
  T* spare_;
  std::uint64_t slice_ = 0;
  int count_ = 0, parts_ = 0;
};

/// A packed slice of the left operand. `depth` is the number of terms. It is less than the depth of the slice if terms
/// that are known to be zero are left out of both operands.
template <class T>
struct PackedLeft {
  LeftPanels<T> panels;
  std::int64_t depth;
};

/// Computes a block. pack_a(row, rows, k, depth, to) writes panels of tile_rows rows, with zeros below the last row,
/// and returns them. pack_b(column, columns, k, depth, to) returns panels of tile_columns columns, in `to` or
/// elsewhere. Element (p, column) of panel i is at (i · terms + p) · tile_columns + column, where `terms` is the depth
/// that pack_a returns.
template <class T, Products products, class PackA, class PackB>
void compute_block(const ResultBlock<T>& c, std::int64_t k, const Blocking& blocking, PackA&& pack_a, PackB&& pack_b,
                   T* panels) {
  if (k == 0) {
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t j = 0; j < c.columns; ++j) c.data[r * c.row_stride + j * c.column_stride] = 0;
    return;
  }
  T* const b_room = panels + blocking.left_elements(LeftPanels<T>::row_step);
  PartialSums<T> sums(c, blocking, b_room + blocking.columns * blocking.depth);
  for (std::int64_t p = 0; p < k; p += blocking.depth) {
    const std::int64_t depth = std::min(blocking.depth, k - p);
    const T* const b_panels = pack_b(c.column, c.columns, p, depth, b_room);
    const PackedLeft<T> a = pack_a(c.row, c.rows, p, depth, panels);
    sums.advance(p + depth == k);
    for (std::int64_t j = 0; j < c.columns; j += tile_columns<T>) {
      for (std::int64_t r = 0; r < c.rows; r += tile_rows) {
        sums.with_target(r, j, [&](const TileTarget<T>& target) {
          micro_kernel<T, products>(a.depth, a.panels.tile(r, a.depth), b_panels + j * a.depth, target);
        });
      }
    }
  }
}

/// Calls unit(index, panels) for all units, each thread with its own part of the workspace.
template <class T, class Unit>
void for_each_unit(const lks_host_api& api, const Blocking& blocking, std::int64_t units, T* workspace, Unit&& unit) {
  const std::int64_t slots = std::min(blocking.threads, units);
  parallel(api, slots, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) {
      T* const panels = workspace + s * blocking.panel_elements<T>();
      for (std::int64_t u = units * s / slots; u < units * (s + 1) / slots; ++u) unit(u, panels);
    }
  });
}

/// Packs a matrix with any strides into panels of `width` lanes. The distance between lanes is `lane`, between steps of
/// k `step`.
template <class T, int width>
void pack_strided(const T* from, std::int64_t lane, std::int64_t step, std::int64_t lanes, std::int64_t depth, T* to) {
  for (std::int64_t first = 0; first < lanes; first += width, to += width * depth, from += width * lane) {
    const int count = static_cast<int>(std::min<std::int64_t>(width, lanes - first));
    if (count == width && lane == 1) {
      for (std::int64_t p = 0; p < depth; ++p) std::memcpy(to + p * width, from + p * step, width * sizeof(T));
      continue;
    }
    if (count < width) std::memset(to, 0, static_cast<std::size_t>(width * depth) * sizeof(T));
    // Short runs along k, so that reading one lane after the other stays within the L1 cache.
    constexpr std::int64_t run = 16;
    for (std::int64_t p0 = 0; p0 < depth; p0 += run) {
      const std::int64_t p1 = std::min(p0 + run, depth);
      for (int i = 0; i < count; ++i)
        for (std::int64_t p = p0; p < p1; ++p) to[p * width + i] = from[i * lane + p * step];
    }
  }
}

/// Zeroes the rows of the last tile beyond `rows`.
template <class T>
void clear_rows_below(std::int64_t rows, std::int64_t depth, T* to) {
  for (std::int64_t r = rows; r < round_up(rows, tile_rows); ++r)
    std::memset(to + r * LeftPanels<T>::row_step, 0, static_cast<std::size_t>(depth) * sizeof(T));
}

/// Packs a left operand with any strides.
template <class T>
PackedLeft<T> pack_left(const T* from, std::int64_t row, std::int64_t step, std::int64_t rows, std::int64_t depth,
                        T* to) {
  if (step != 1) {
    pack_strided<T, tile_rows>(from, row, step, rows, depth, to);
    return {{to, false}, depth};
  }
  for (std::int64_t r = 0; r < rows; ++r)
    std::memcpy(to + r * LeftPanels<T>::row_step, from + r * row, static_cast<std::size_t>(depth) * sizeof(T));
  clear_rows_below(rows, depth, to);
  return {{to, true}, depth};
}

}  // namespace cpu
