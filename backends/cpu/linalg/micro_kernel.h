// The micro-kernel of the driver's own matrix product: computes one tile of sums in registers.
#pragma once

#include <cstdint>

namespace cpu {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int tile_rows = 12;  // of 32 registers: 24 accumulators, two vectors of b, one element of a
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int tile_rows = 6;  // of 16 registers, 12 are accumulators
#else
constexpr int vector_bytes = 16;
constexpr int tile_rows = 6;
#endif

/// Columns of a tile: two registers of T.
template <class T>
constexpr int tile_columns = 2 * vector_bytes / static_cast<int>(sizeof(T));

/// The most terms that a call of the micro-kernel sums.
constexpr std::int64_t max_depth = 256;

/// Whether a product is rounded before it is added.
enum class Products : std::uint8_t {
  fused,     // no: one rounding with the sum, if the processor has FMA
  separate,  // yes: for lockstep mode
};

/// The packed left operand. tile() returns the panel of one tile; `by_rows` gives the layout within it.
template <class T>
struct LeftPanels {
  /// The distance between rows if `by_rows`. The extra cache line puts adjacent rows into different sets of the L1
  /// cache.
  static constexpr std::int64_t row_step = max_depth + 64 / static_cast<std::int64_t>(sizeof(T));

  const T* data;
  bool by_rows;  // if so, element (r, p) is at r · row_step + p; otherwise at p · tile_rows + r

  LeftPanels tile(std::int64_t row, std::int64_t depth) const {
    return {data + row * (by_rows ? row_step : depth), by_rows};
  }
};

/// The location of a tile in the result or in a block of partial sums. Strides are in elements.
template <class T>
struct TilePlace {
  T* data;
  std::int64_t row_stride, column_stride;
};

/// Where a tile's sums go. The values at `parts` are added to them, one part after the other, and the sums are stored
/// at `to`. Only `rows` rows and `columns` columns of the tile exist in the result.
template <class T>
struct TileTarget {
  TilePlace<T> to;
  const TilePlace<T>* parts;
  int part_count;
  int rows, columns;
};

/// Computes the sum over p < depth of column p of a times row p of b. Each sum starts from +0 and adds in ascending
/// order of p. `b` holds tile_columns elements for each p. T is float, double, or an unsigned integer, which wraps.
template <class T, Products products>
void micro_kernel(std::int64_t depth, const LeftPanels<T>& a, const T* b, const TileTarget<T>& target);

}  // namespace cpu
