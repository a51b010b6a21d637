// The innermost tile of the driver's own matrix product: a block of sums that stays in registers.
#pragma once

#include <cstdint>

namespace cpu {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int tile_rows = 12;  // 24 accumulators, two columns of b and one element of a, of 32 registers
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int tile_rows = 6;  // 12 accumulators of 16 registers
#else
constexpr int vector_bytes = 16;
constexpr int tile_rows = 6;
#endif

/// Columns of a tile: two registers of T.
template <class T>
constexpr int tile_columns = 2 * vector_bytes / static_cast<int>(sizeof(T));

/// Terms that a tile adds up at a time, at most.
constexpr std::int64_t most_depth = 256;

/// Whether a product is rounded before it is added.
enum class Products : std::uint8_t {
  fused,     // once, with the sum, where the processor can
  separate,  // always: the lockstep mode
};

/// The left operand of tiles, as the packing leaves it: element (r, p) of tile i at data + i · tile(depth) + ….
template <class T>
struct LeftPanels {
  /// A row's distance from the next where rows lie on end. The odd cache line keeps rows apart in the first-level
  /// cache.
  static constexpr std::int64_t row_step = most_depth + 64 / static_cast<std::int64_t>(sizeof(T));

  const T* data;
  bool by_rows;  // r · row_step + p; else p · tile_rows + r

  LeftPanels tile(std::int64_t row, std::int64_t depth) const {
    return {data + row * (by_rows ? row_step : depth), by_rows};
  }
};

/// Where a tile of a result, or of part of it, lies; in elements.
template <class T>
struct TilePlace {
  T* data;
  std::int64_t row_stride, column_stride;
};

/// What becomes of a tile's sums: what lies at `parts` is added to them, one after the other, and they go to `to`.
/// `rows` and `columns` of the tile exist.
template <class T>
struct TileTarget {
  TilePlace<T> to;
  const TilePlace<T>* parts;
  int part_count;
  int rows, columns;
};

/// The sum over `depth` of column p of a times row p of b, each sum from +0 in ascending order of p. `b` holds
/// tile_columns elements for each p. T is float, double, or an unsigned integer, which wraps.
template <class T, Products products>
void micro_kernel(std::int64_t depth, const LeftPanels<T>& a, const T* b, const TileTarget<T>& target);

}  // namespace cpu
