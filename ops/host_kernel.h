// Kernels that users provide as host code, for devices whose memory the host can access.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// Whether OpDef::kernels has an entry that can run on the device.
bool has_host_kernel(const OpCall& call, DeviceState& device);

/// Runs that kernel. Inputs that are not dense are copied first.
void run_host_kernel(const OpCall& call, DeviceState& device, std::span<const TensorSpec> specs,
                     std::span<TensorRef> outputs);

}  // namespace lockstep
