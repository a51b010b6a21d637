// The iteration space of a launch, with as few dimensions as the tensors' strides allow.
#pragma once

#include "backends/cpu/pointwise/plan.h"
#include "backends/host/tensor_view.h"

namespace cpu {

/// Extents of the outputs and, for each tensor (inputs, then outputs), the distance between neighbours in bytes: 0
/// where it is broadcast. Dimensions that lie one inside the other in every tensor are one; there is at least one.
struct Space {
  int rank = 0;
  std::size_t tensor_count = 0;
  std::int64_t dims[LKS_MAX_RANK];
  std::int64_t strides[most_tensors][LKS_MAX_RANK];
  char* data[most_tensors];
  std::int64_t sizes[most_tensors];  // of an element

  std::int64_t columns() const { return dims[rank - 1]; }
  std::int64_t column_stride(std::size_t t) const { return strides[t][rank - 1]; }
  std::int64_t count() const;
  /// The same value everywhere.
  bool is_constant(std::size_t t) const;
  /// Read from memory rather than from a cache, and side by side: worth asking for ahead of time.
  bool prefetches(std::size_t t) const;
  /// Side by side in row-major order.
  bool is_dense(std::size_t t) const;
};

Space make_space(const host::TensorView* tensors, std::size_t tensor_count, const host::TensorView& shape);

}  // namespace cpu
