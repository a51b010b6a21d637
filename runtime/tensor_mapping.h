// The elements of a tensor in host memory, on devices whose memory the host sees.
#pragma once

#include "runtime/driver_status.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// Maps a tensor's block until the end of the scope. The caller keeps the block, has waited for what it wants to read,
/// and orders its own writes with the device's queue.
class TensorMapping {
 public:
  /// Throws the driver's failure for `call`.
  TensorMapping(const TensorImpl& tensor, const DriverCall& call);
  ~TensorMapping();
  TensorMapping(const TensorMapping&) = delete;
  TensorMapping& operator=(const TensorMapping&) = delete;

  /// The first element.
  std::byte* data() const { return data_; }

 private:
  const Block& block_;
  std::byte* data_ = nullptr;
};

}  // namespace lockstep
