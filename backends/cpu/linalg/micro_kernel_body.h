// The micro-kernel's code. It is compiled twice: micro_kernel.cpp allows contraction, micro_kernel_lockstep.cpp does
// not.
#pragma once

#include <cstring>

#include "backends/cpu/linalg/micro_kernel.h"

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

template <class T>
using TileSums = Vector<T>[tile_rows][2];

// If only the left half of the tile is used (`whole` is false), each row has one vector.
template <bool whole, int row_step, int step, class T>
[[gnu::always_inline]] inline void add_products(std::int64_t depth, const T* a, const T* b, TileSums<T>& sums) {
  constexpr int lanes = tile_columns<T> / 2;
  for (std::int64_t p = 0; p < depth; ++p) {
    const Vector<T> left = load(b + p * tile_columns<T>);
    const Vector<T> right = whole ? load(b + p * tile_columns<T> + lanes) : Vector<T>{};
#pragma GCC unroll 16
    for (int r = 0; r < tile_rows; ++r) {
      const T factor = a[p * step + r * row_step];
      sums[r][0] += factor * left;
      if constexpr (whole) sums[r][1] += factor * right;
    }
  }
}

template <bool whole, class T>
[[gnu::always_inline]] inline void add_panels(const LeftPanels<T>& a, std::int64_t depth, const T* b,
                                              TileSums<T>& sums) {
  if (a.by_rows) {
    add_products<whole, static_cast<int>(LeftPanels<T>::row_step), 1>(depth, a.data, b, sums);
  } else {
    add_products<whole, 1, tile_rows>(depth, a.data, b, sums);
  }
}

// For a tile that is cut off by the edge of the result, or whose columns are not contiguous.
template <class T>
void write_elements(T* tile, const TileTarget<T>& target) {
  for (int r = 0; r < target.rows; ++r) {
    for (int j = 0; j < target.columns; ++j) {
      T sum = tile[r * tile_columns<T> + j];
      for (int i = 0; i < target.part_count; ++i) {
        const TilePlace<T>& part = target.parts[i];
        sum = part.data[r * part.row_stride + j * part.column_stride] + sum;
      }
      target.to.data[r * target.to.row_stride + j * target.to.column_stride] = sum;
    }
  }
}

template <class T>
bool has_whole_rows(const TileTarget<T>& target) {
  bool whole = target.rows == tile_rows && target.columns == tile_columns<T> && target.to.column_stride == 1;
  for (int i = 0; i < target.part_count; ++i) whole = whole && target.parts[i].column_stride == 1;
  return whole;
}

template <class T>
void sum_and_write(const LeftPanels<T>& a, std::int64_t depth, const T* b, const TileTarget<T>& target) {
  constexpr int lanes = tile_columns<T> / 2;
  Vector<T> sums[tile_rows][2] = {};
  if (target.columns > lanes) {
    add_panels<true>(a, depth, b, sums);
  } else {
    add_panels<false>(a, depth, b, sums);
  }
  if (has_whole_rows(target)) {
    for (int i = 0; i < target.part_count; ++i) {
      const TilePlace<T>& part = target.parts[i];
#pragma GCC unroll 16
      for (int r = 0; r < tile_rows; ++r) {
        const T* const row = part.data + r * part.row_stride;
        sums[r][0] = load(row) + sums[r][0];
        sums[r][1] = load(row + lanes) + sums[r][1];
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < tile_rows; ++r) {
      T* const row = target.to.data + r * target.to.row_stride;
      store(row, sums[r][0]);
      store(row + lanes, sums[r][1]);
    }
    return;
  }
  T tile[tile_rows * tile_columns<T>];
  std::memcpy(tile, sums, sizeof tile);
  write_elements(tile, target);
}

}  // namespace

template <class T, Products products>
void micro_kernel(std::int64_t depth, const LeftPanels<T>& a, const T* b, const TileTarget<T>& target) {
  sum_and_write(a, depth, b, target);
}

#define INSTANTIATE_MICRO_KERNEL(T, products) \
  template void micro_kernel<T, products>(std::int64_t, const LeftPanels<T>&, const T*, const TileTarget<T>&)

}  // namespace cpu
