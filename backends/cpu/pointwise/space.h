// The iteration space of a launch, with as few dimensions as the tensors' strides allow.
#pragma once

#include "backends/cpu/pointwise/plan.h"
#include "backends/host/tensor_view.h"

namespace cpu {

/// The extents of the outputs and, for each tensor (inputs, then outputs), the strides in bytes: 0 where it is
/// broadcast. Adjacent dimensions are merged if the strides of every tensor allow it; at least one dimension remains.
struct Space {
  int rank = 0;
  std::size_t tensor_count = 0;
  std::int64_t dims[LKS_MAX_RANK];
  std::int64_t strides[max_tensors][LKS_MAX_RANK];
  char* data[max_tensors];
  std::int64_t sizes[max_tensors];  // of an element

  std::int64_t columns() const { return dims[rank - 1]; }
  std::int64_t column_stride(std::size_t t) const { return strides[t][rank - 1]; }
  std::int64_t count() const;
  /// Whether all strides are 0, so that there is one value.
  bool is_constant(std::size_t t) const;
  /// Whether to prefetch the tensor: it is contiguous along columns and too large for the caches.
  bool prefetches(std::size_t t) const;
  /// Whether the tensor is dense in row-major order.
  bool is_dense(std::size_t t) const;
};

Space make_space(const host::TensorView* tensors, std::size_t tensor_count, const host::TensorView& shape);

}  // namespace cpu
