// Checks that every element of an index tensor lies in [0, extent).
#pragma once

#include "backends/common/diag.h"
#include "backends/host/tensor_view.h"

namespace host {

/// Returns LKS_OK, or LKS_INVALID_ARGUMENT with LKS_REASON_INDEX and a message with the first index that is out of
/// range and its position.
inline lks_status check_indices(const TensorView& indices, std::int64_t extent, int axis, lks_diag* diag) {
  std::int64_t position[LKS_MAX_RANK] = {};
  const std::int64_t count = indices.count();
  std::int64_t offset = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t value =
        indices.dtype == LKS_I32 ? indices.as<std::int32_t>()[offset] : indices.as<std::int64_t>()[offset];
    if (value < 0 || value >= extent) [[unlikely]] {
      return common::fail_index(diag, DRIVER_WHERE, value, n, axis, extent);
    }
    for (int d = indices.rank - 1; d >= 0; --d) {
      offset += indices.strides[d];
      if (++position[d] < indices.dims[d]) break;
      offset -= indices.strides[d] * indices.dims[d];
      position[d] = 0;
    }
  }
  return LKS_OK;
}

}  // namespace host
