// The rule for dense tensors. The host has the same one (are_dense_strides in runtime/kernel_key.h).
#pragma once

#include <cstdint>

namespace common {

/// Whether the strides, in elements, are those of a row-major tensor without gaps; that of an extent of 1 does not
/// count. The strides of an empty tensor are dense in what the host passes (driver.h), so it needs no rule of its own.
inline bool is_dense(int rank, const std::int64_t* dims, const std::int64_t* strides) {
  std::int64_t expected = 1;
  for (int d = rank - 1; d >= 0; --d) {
    if (dims[d] != 1 && strides[d] != expected) return false;
    expected *= dims[d];
  }
  return true;
}

}  // namespace common
