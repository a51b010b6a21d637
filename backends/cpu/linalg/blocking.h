// How a matrix product is split into blocks, and how much workspace it needs.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "backends/cpu/linalg/micro_kernel.h"

namespace cpu {

inline std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }
inline std::int64_t pieces_of(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit; }

/// The order in which the sums over slices of k are joined.
enum class SliceOrder : std::uint8_t {
  chain,     // one after the other
  pairwise,  // neighbours first, as a tree: for lockstep mode
};

/// Blocks of the result are the units of parallel work. A packed slice of b of the full size takes half of a 1 MiB L2
/// cache.
struct Blocking {
  std::int64_t rows, columns, depth;
  std::int64_t threads;
  SliceOrder order;
  std::int64_t spare_parts;  // blocks of unfinished sums besides the result itself

  template <class T>
  static Blocking choose(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batches, std::int64_t threads,
                         SliceOrder order);

  std::int64_t left_elements(std::int64_t row_step) const { return rows * std::max(depth, row_step); }
  /// Elements of workspace per thread: both packed operands and the unfinished sums.
  template <class T>
  std::int64_t panel_elements() const {
    return left_elements(LeftPanels<T>::row_step) + columns * depth + spare_parts * rows * columns;
  }
  template <class T>
  std::uint64_t workspace_bytes() const {
    return static_cast<std::uint64_t>(panel_elements<T>() * threads) * sizeof(T);
  }
};

/// The most blocks of unfinished sums, besides the first, that a binary counter over `slices` slices needs.
inline std::int64_t spare_parts_of(std::int64_t slices, SliceOrder order) {
  if (order == SliceOrder::chain || slices < 4) return 0;
  return std::bit_width(static_cast<std::uint64_t>(slices)) - 2;
}

template <class T>
Blocking Blocking::choose(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batches, std::int64_t threads,
                          SliceOrder order) {
  constexpr std::int64_t row_unit = tile_rows, column_unit = tile_columns<T>;
  constexpr std::int64_t max_rows = 144, max_columns = 2048 / sizeof(T);
  const std::int64_t row_tiles = std::max<std::int64_t>(1, pieces_of(m, row_unit)),
                     column_tiles = std::max<std::int64_t>(1, pieces_of(n, column_unit));
  threads = std::max<std::int64_t>(threads, 1);
  const std::int64_t min_down = pieces_of(row_tiles, max_rows / row_unit),
                     min_right = pieces_of(column_tiles, max_columns / column_unit);
  // Choose the split whose busiest thread has the least work, counted in products of tiles. Packing counts too: the
  // rows or the columns of one tile cost about three quarters of a product.
  constexpr double packing = 1.5;
  std::int64_t best_down = min_down, best_right = min_right;
  double least = 0;
  for (std::int64_t down = min_down; down <= std::min(row_tiles, min_down + threads); ++down) {
    for (std::int64_t right = min_right; right <= std::min(column_tiles, min_right + threads); ++right) {
      const std::int64_t rows = pieces_of(row_tiles, down), columns = pieces_of(column_tiles, right);
      const std::int64_t units = batches * pieces_of(row_tiles, rows) * pieces_of(column_tiles, columns);
      const auto r = static_cast<double>(rows), c = static_cast<double>(columns);
      const double busiest = static_cast<double>(pieces_of(units, threads)) * (r * c + packing * (r + c) / 2);
      if (least != 0 && busiest >= least) continue;
      least = busiest;
      best_down = down;
      best_right = right;
    }
  }
  Blocking b{pieces_of(row_tiles, best_down) * row_unit,
             pieces_of(column_tiles, best_right) * column_unit,
             std::clamp<std::int64_t>(k, 1, max_depth),
             threads,
             order,
             spare_parts_of(pieces_of(k, max_depth), order)};
  b.threads = std::min(threads, std::max<std::int64_t>(1, batches * pieces_of(m, b.rows) * pieces_of(n, b.columns)));
  return b;
}

}  // namespace cpu
