// Products in lockstep mode of a left operand with few rows and a right operand with contiguous rows. For so few rows
// it does not pay to pack the right operand. Its rows are read once, in order, and added to sums that stay in the L1
// cache.
#pragma once

#include "backends/cpu/linalg/blocking.h"
#include "backends/cpu/linalg/product.h"
#include "backends/cpu/lockstep.h"
#include "backends/cpu/parallel.h"

namespace cpu {

template <class T>
class SkinnyMatmulKernel : public lks_kernel {
 public:
  /// Whether the product has few enough rows to be faster here than in the blocked product, which computes whole tiles.
  static bool serves(const Product& p) { return p.m <= 8 && p.b.column == 1 && p.n >= 16; }

  SkinnyMatmulKernel(const lks_host_api& api, const Product& product, std::int64_t threads)
      : api_(api), p_(product), columns_(columns_for(product, threads)) {}

  void run(const lks_launch& launch) const override {
    if (p_.empty()) return;
    const T* a = view(launch, 0).template as<T>();
    const T* b = view(launch, 1).template as<T>();
    T* c = view(launch, 2).template as<T>();
    const std::int64_t pieces = pieces_of(p_.n, columns_);
    const double ns = 0.1 * static_cast<double>(p_.m * columns_ * p_.k) * sizeof(T) / vector_bytes;
    parallel(api_, p_.batch_count() * pieces, grain_for(ns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const Product::Offsets at = p_.at(unit / pieces);
        const std::int64_t first = unit % pieces * columns_;
        multiply(a + at.a, b + at.b + first, c + at.c + first * p_.c.column, std::min(columns_, p_.n - first));
      }
    });
  }

 private:
  static constexpr int max_sums = 2048 / sizeof(T);

  static std::int64_t columns_for(const Product& p, std::int64_t threads) {
    constexpr std::int64_t unit = tile_columns<T>;
    const std::int64_t share = round_up(pieces_of(p.n * p.batch_count(), threads), unit);
    return std::clamp(share, unit, max_sums / std::max<std::int64_t>(1, p.m) / unit * unit);
  }

  void multiply(const T* a, const T* b, T* c, std::int64_t columns) const {
    PairwiseRuns<T, max_sums> sums(static_cast<int>(p_.m * columns));
    for (std::int64_t k = 0; k < p_.k; k += chain_chunk) {
      T partial[max_sums] = {};
      add_chunk(a, b, k, std::min(k + chain_chunk, p_.k), columns, partial);
      sums.add(partial);
    }
    const T* const total = sums.total();
    for (std::int64_t r = 0; r < p_.m; ++r)
      for (std::int64_t j = 0; j < columns; ++j) c[r * p_.c.row + j * p_.c.column] = total[r * columns + j];
  }

  // Adds four rows of b at a time, for all rows of a while the rows of b are in the cache.
  void add_chunk(const T* a, const T* b, std::int64_t k, std::int64_t end, std::int64_t columns, T* sums) const {
    for (; k + 4 <= end; k += 4) {
      for (std::int64_t r = 0; r < p_.m; ++r) {
        const T* const factors = a + r * p_.a.row + k * p_.a.column;
        add_rows(factors, p_.a.column, b + k * p_.b.row, p_.b.row, columns, sums + r * columns);
      }
    }
    for (; k < end; ++k) {
      const T* const row = b + k * p_.b.row;
      for (std::int64_t r = 0; r < p_.m; ++r) {
        const T factor = a[r * p_.a.row + k * p_.a.column];
        T* const out = sums + r * columns;
        for (std::int64_t j = 0; j < columns; ++j) out[j] = out[j] + factor * row[j];
      }
    }
  }

  static void add_rows(const T* a, std::int64_t step, const T* __restrict b, std::int64_t row, std::int64_t columns,
                       T* __restrict sums) {
    const T f0 = a[0], f1 = a[step], f2 = a[2 * step], f3 = a[3 * step];
    const T *b1 = b + row, *b2 = b1 + row, *b3 = b2 + row;
    for (std::int64_t j = 0; j < columns; ++j) {
      sums[j] = (((sums[j] + f0 * b[j]) + f1 * b1[j]) + f2 * b2[j]) + f3 * b3[j];
    }
  }

  const lks_host_api& api_;
  const Product p_;
  const std::int64_t columns_;
};

}  // namespace cpu
