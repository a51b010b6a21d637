// Tensors whose block is host memory that somebody else owns.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "runtime/tensor_impl.h"

namespace lockstep {

/// A tensor, or the reason why there is none.
struct SharedTensor {
  TensorRef tensor;
  std::string refusal;
};

/// A tensor over host memory, with these strides in elements, if the driver can import host memory, the elements are
/// aligned to their size, and no stride is negative. See import_host_memory() for when `owner` is released. The spec
/// must have elements. Throws what check_size() throws.
SharedTensor share_host_memory(DeviceState& device, const std::byte* first, const TensorSpec& spec,
                               const std::int64_t* strides, const std::shared_ptr<const void>& owner,
                               const BlockPurpose& purpose);

}  // namespace lockstep
