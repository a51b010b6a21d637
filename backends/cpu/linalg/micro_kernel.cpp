// Built with contraction allowed (see CMakeLists.txt): in matrix products, unlike pointwise arithmetic, strict mode
// lets a multiplication and an addition round once.
#include "backends/cpu/linalg/micro_kernel.h"

#include <cstring>

namespace cpu {
namespace {

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(vector_bytes)));
  typedef T unaligned __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
};

template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
Vector<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::unaligned*>(p);
}

template <class T>
void store(T* p, Vector<T> v) {
  *reinterpret_cast<typename VectorOf<T>::unaligned*>(p) = v;
}

// A tile that is cut by the edge, or whose columns are apart.
template <class T>
void write_elements(const T* tile, const TileTarget<T>& to) {
  for (int r = 0; r < to.rows; ++r) {
    for (int j = 0; j < to.columns; ++j) {
      T& element = to.data[r * to.row_stride + j * to.column_stride];
      const T sum = tile[r * tile_columns<T> + j];
      element = to.add ? element + sum : sum;
    }
  }
}

}  // namespace

template <class T>
void micro_kernel(std::int64_t depth, const T* a, const T* b, const TileTarget<T>& to) {
  constexpr int lanes = tile_columns<T> / 2;
  Vector<T> sums[tile_rows][2] = {};
  for (std::int64_t p = 0; p < depth; ++p) {
    const Vector<T> left = load(b + p * tile_columns<T>), right = load(b + p * tile_columns<T> + lanes);
#pragma GCC unroll 16
    for (int r = 0; r < tile_rows; ++r) {
      const T factor = a[p * tile_rows + r];
      sums[r][0] += factor * left;
      sums[r][1] += factor * right;
    }
  }
  if (to.rows == tile_rows && to.columns == tile_columns<T> && to.column_stride == 1) {
#pragma GCC unroll 16
    for (int r = 0; r < tile_rows; ++r) {
      T* const row = to.data + r * to.row_stride;
      store(row, to.add ? load(row) + sums[r][0] : sums[r][0]);
      store(row + lanes, to.add ? load(row + lanes) + sums[r][1] : sums[r][1]);
    }
    return;
  }
  T tile[tile_rows * tile_columns<T>];
  std::memcpy(tile, sums, sizeof tile);
  write_elements(tile, to);
}

template void micro_kernel(std::int64_t, const float*, const float*, const TileTarget<float>&);
template void micro_kernel(std::int64_t, const double*, const double*, const TileTarget<double>&);
template void micro_kernel(std::int64_t, const std::uint32_t*, const std::uint32_t*, const TileTarget<std::uint32_t>&);
template void micro_kernel(std::int64_t, const std::uint64_t*, const std::uint64_t*, const TileTarget<std::uint64_t>&);

}  // namespace cpu
