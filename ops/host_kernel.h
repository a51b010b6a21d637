// Kernels that user code gives for devices whose memory the host can see.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// Runs OpDef::kernels' entry for the device's driver on dense elements; false where there is none.
bool run_host_kernel(const OpCall& call, DeviceState& device, std::span<const Spec> specs,
                     std::span<TensorRef> outputs);

}  // namespace lockstep
