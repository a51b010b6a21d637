// New tensors whose elements the host writes.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "lockstep/call_site.h"
#include "runtime/tensor_mapping.h"

namespace lockstep {

/// A new dense tensor that the host fills. The memory to fill is the tensor's own if the host sees it and the device's
/// queue is inline, so that nothing in flight can use it. Otherwise it is host memory, which finish() gives to the
/// queue without a further copy.
class HostFill {
 public:
  /// Throws what make_tensor() throws, the failures of a driver, and OutOfMemoryError LS5001 if the host has too little
  /// memory.
  HostFill(DeviceState& device, const TensorSpec& spec, const BlockPurpose& purpose);
  HostFill(const HostFill&) = delete;
  HostFill& operator=(const HostFill&) = delete;

  /// Where to write all elements in row-major order; nullptr if there are none.
  std::byte* data() const { return data_; }
  /// The tensor, once all elements are written. On an asynchronous queue its contents may be on their way.
  TensorRef finish(CallSite where);

 private:
  TensorRef tensor_;
  std::optional<TensorMapping> mapping_;
  std::byte* data_ = nullptr;
  std::shared_ptr<std::byte[]> host_;  // if the block is not mapped
};

}  // namespace lockstep
