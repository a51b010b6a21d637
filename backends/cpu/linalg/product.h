// A batch of matrix products, with as few batch dimensions as possible.
#pragma once

#include "backends/cpu/kernels.h"

namespace cpu {

/// The strides of one matrix of a product, in elements. Dimensions of extent 1 have stride 0.
struct MatrixStrides {
  std::int64_t row, column;
  std::int64_t batch[LKS_MAX_RANK];
};

/// c (m × n) = a (m × k) · b (k × n), for each index of the batch.
struct Product {
  std::int64_t m, n, k;
  int batch_rank = 0;
  std::int64_t batch[LKS_MAX_RANK];
  MatrixStrides a, b, c;

  std::int64_t batch_count() const;
  bool empty() const { return m == 0 || n == 0 || batch_count() == 0; }
  /// Offsets of the matrices of batch `index`, counted row-major.
  struct Offsets {
    std::int64_t a, b, c;
  };
  Offsets at(std::int64_t index) const;
};

/// Merges adjacent batch dimensions if the strides of all three tensors allow it.
Product product_of(const lks_tensor_desc& a, const lks_tensor_desc& b, const lks_tensor_desc& c);

}  // namespace cpu
