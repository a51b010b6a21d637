// The driver's own matrix product: blocks of the result, each summed over slices of k from operands packed into panels
// that the micro-kernel reads in order. What the operands are is up to the packers: a matrix with any strides, or the
// patches of an image.
#pragma once

#include <algorithm>
#include <cstring>

#include "backends/cpu/linalg/micro_kernel.h"
#include "backends/cpu/parallel.h"

namespace cpu {

/// How a product is cut. Blocks are the units of parallel work; a packed slice of b of the full size takes half of a
/// second-level cache of 1 MiB.
struct Blocking {
  std::int64_t rows, columns, depth;
  std::int64_t threads;

  template <class T>
  static Blocking choose(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batches, std::int64_t threads);

  /// Elements that one thread packs.
  std::int64_t panel_elements() const { return (rows + columns) * depth; }
  template <class T>
  std::uint64_t workspace_bytes() const {
    return static_cast<std::uint64_t>(panel_elements() * threads) * sizeof(T);
  }
};

inline std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }
inline std::int64_t pieces_of(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit; }

template <class T>
Blocking Blocking::choose(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batches, std::int64_t threads) {
  constexpr std::int64_t row_unit = tile_rows, column_unit = tile_columns<T>;
  constexpr std::int64_t most_rows = 144, most_columns = 2048 / sizeof(T), most_depth = 256;
  Blocking b{std::min(round_up(m, row_unit), most_rows), std::min(round_up(n, column_unit), most_columns),
             std::clamp<std::int64_t>(k, 1, most_depth), std::max<std::int64_t>(threads, 1)};
  // Smaller blocks where there would be too few for the threads, down to what still reuses its panels.
  const auto units = [&] { return batches * pieces_of(m, b.rows) * pieces_of(n, b.columns); };
  while (b.threads > 1 && units() < 2 * b.threads) {
    if (b.columns > 4 * column_unit) {
      b.columns = round_up(b.columns / 2, column_unit);
    } else if (b.rows > 2 * row_unit) {
      b.rows = round_up(b.rows / 2, row_unit);
    } else {
      break;
    }
  }
  b.threads = std::min(b.threads, std::max<std::int64_t>(1, units()));
  return b;
}

/// A block of the result.
template <class T>
struct ResultBlock {
  T* data;
  std::int64_t row_stride, column_stride;
  std::int64_t row, column, rows, columns;  // which part of the whole result it is

  TileTarget<T> tile(std::int64_t r, std::int64_t c, bool add) const {
    return {data + r * row_stride + c * column_stride,
            row_stride,
            column_stride,
            static_cast<int>(std::min<std::int64_t>(tile_rows, rows - r)),
            static_cast<int>(std::min<std::int64_t>(tile_columns<T>, columns - c)),
            add};
  }
};

/// Computes a block. pack_a(row, rows, k, depth, to) writes panels of tile_rows rows: element (row, p) of panel i at
/// to[(i · depth + p) · tile_rows + row], with zeros below the last row; pack_b likewise with columns.
template <class T, class PackA, class PackB>
void compute_block(const ResultBlock<T>& c, std::int64_t k, const Blocking& blocking, PackA&& pack_a, PackB&& pack_b,
                   T* panels) {
  if (k == 0) {
    for (std::int64_t r = 0; r < c.rows; ++r)
      for (std::int64_t j = 0; j < c.columns; ++j) c.data[r * c.row_stride + j * c.column_stride] = 0;
    return;
  }
  T* const a_panels = panels;
  T* const b_panels = panels + blocking.rows * blocking.depth;
  for (std::int64_t p = 0; p < k; p += blocking.depth) {
    const std::int64_t depth = std::min(blocking.depth, k - p);
    pack_b(c.column, c.columns, p, depth, b_panels);
    pack_a(c.row, c.rows, p, depth, a_panels);
    for (std::int64_t j = 0; j < c.columns; j += tile_columns<T>) {
      for (std::int64_t r = 0; r < c.rows; r += tile_rows) {
        micro_kernel(depth, a_panels + r * depth, b_panels + j * depth, c.tile(r, j, p > 0));
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
      T* const panels = workspace + s * blocking.panel_elements();
      for (std::int64_t u = units * s / slots; u < units * (s + 1) / slots; ++u) unit(u, panels);
    }
  });
}

/// Packs a matrix with any strides: `width` lanes of a panel step by `lane`, k steps by `step`.
template <class T, int width>
void pack_strided(const T* from, std::int64_t lane, std::int64_t step, std::int64_t lanes, std::int64_t depth, T* to) {
  for (std::int64_t first = 0; first < lanes; first += width, to += width * depth, from += width * lane) {
    const int count = static_cast<int>(std::min<std::int64_t>(width, lanes - first));
    if (count == width && lane == 1) {
      for (std::int64_t p = 0; p < depth; ++p) std::memcpy(to + p * width, from + p * step, width * sizeof(T));
      continue;
    }
    if (count < width) std::memset(to, 0, static_cast<std::size_t>(width * depth) * sizeof(T));
    // Along k in short runs, so that reading one lane after the other stays within the first-level cache.
    constexpr std::int64_t run = 16;
    for (std::int64_t p0 = 0; p0 < depth; p0 += run) {
      const std::int64_t p1 = std::min(p0 + run, depth);
      for (int i = 0; i < count; ++i)
        for (std::int64_t p = p0; p < p1; ++p) to[p * width + i] = from[i * lane + p * step];
    }
  }
}

}  // namespace cpu
