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

/// Where a tile of the result goes, in elements; `rows` and `columns` of it exist. `add`: it adds to what is there.
template <class T>
struct TileTarget {
  T* data;
  std::int64_t row_stride, column_stride;
  int rows, columns;
  bool add;
};

/// The sum over `depth` of column p of a times row p of b. `a` holds tile_rows elements for each p, `b` tile_columns,
/// as the packing leaves them. T is float, double, or an unsigned integer, which wraps.
template <class T>
void micro_kernel(std::int64_t depth, const T* a, const T* b, const TileTarget<T>& target);

extern template void micro_kernel(std::int64_t, const float*, const float*, const TileTarget<float>&);
extern template void micro_kernel(std::int64_t, const double*, const double*, const TileTarget<double>&);
extern template void micro_kernel(std::int64_t, const std::uint32_t*, const std::uint32_t*,
                                  const TileTarget<std::uint32_t>&);
extern template void micro_kernel(std::int64_t, const std::uint64_t*, const std::uint64_t*,
                                  const TileTarget<std::uint64_t>&);

}  // namespace cpu
