// Calling ops from within ops/.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"
#include "runtime/thread_state.h"

namespace lockstep {

/// Until the end of the scope, calls without tensor operands have their results on `device`, or, if it is nullptr as in
/// an abstract tensor, abstract results.
class [[nodiscard]] ResultScope {
 public:
  explicit ResultScope(DeviceState* device) {
    if (device) {
      device_.emplace(device->device());
    } else {
      describing_.emplace();
    }
  }

 private:
  std::optional<DeviceScope> device_;
  std::optional<AbstractCallsScope> describing_;
};

/// Runs a call and notifies observers. `outputs` has one entry per output of the call (see output_count).
void invoke_into(const OpCall& call, std::span<TensorRef> outputs);

/// full(), also for numbers that a double cannot hold.
Tensor filled(const Shape& shape, const Scalar& value, DType dtype, CallSite where);

/// A number as a tensor of rank 0 on the default device.
Tensor number_tensor(const Scalar& scalar, DType dtype, CallSite where);

/// cast(), for tensors that an op promotes.
Tensor cast_tensor(const Operand& x, DType to);

}  // namespace lockstep
