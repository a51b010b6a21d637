// How a sample's tensors lie in memory: gaps between rows, permuted dimensions, negative strides, or several of these.
#pragma once

#include <span>

#include "conformance/runtime/kernels.h"

namespace lockstep::conformance {

struct StorageLayout {
  const char* name;
  std::int64_t step, gap;  // the stride of the dimension that is stored last; elements behind each of its rows
  int moved;  // storage order: 0: unchanged; 1: the last two dimensions exchanged; 2: the last one second; 3: reversed
  bool first_backward = false, last_backward = false;  // the first or last dimension runs backward
};
/// The first is dense.
std::span<const StorageLayout> storage_layouts();

/// A tensor that lies so.
Operand operand_in(const StorageLayout& layout, lks_dtype dtype, const std::vector<std::int64_t>& dims);

/// The elements of a tensor in row-major order, from the bytes of its whole span.
Bytes gathered(const Bytes& bytes, const Operand& operand);
/// The reverse. Bytes that belong to no element are `untouched`.
Bytes scattered(const Bytes& dense, const Operand& operand);
inline constexpr unsigned char untouched = 0xa5;

/// The sample with its dense inputs in another layout.
KernelSample in_layout(const KernelSample& sample, const StorageLayout& layout);

}  // namespace lockstep::conformance
