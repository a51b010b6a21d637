// The values of index tensors, i32 or i64: dispatch on the dtype, and the check before anything is written.
#pragma once

#include "backends/host/index_check.h"

namespace cpu {

/// Calls f with a value of the index tensor's C++ type.
template <class F>
auto with_index_type(lks_dtype t, F&& f) {
  return t == LKS_I32 ? f(std::int32_t{}) : f(std::int64_t{});
}

/// Like host::check_indices, with a fast check first. The slow check runs only if an index is out of range, to find it,
/// or if the tensor is not dense.
inline lks_status check_index_tensor(const host::TensorView& indices, std::int64_t extent, int axis, lks_diag* diag) {
  if (!indices.dense()) return host::check_indices(indices, extent, axis, diag);
  const bool fine = with_index_type(indices.dtype, [&](auto zero) {
    using I = decltype(zero);
    const I* values = indices.as<I>();
    const std::int64_t n = indices.count();
    bool outside = false;
    for (std::int64_t i = 0; i < n; ++i) {
      outside |= static_cast<std::uint64_t>(static_cast<std::int64_t>(values[i])) >= static_cast<std::uint64_t>(extent);
    }
    return !outside;
  });
  return fine ? LKS_OK : host::check_indices(indices, extent, axis, diag);
}

}  // namespace cpu
