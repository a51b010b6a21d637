// Outputs that are assembled from copies of the inputs.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// Runs OpDef::assemble: one optional fill, then one strided copy per piece. The copies are submitted as one unit.
TensorRef assemble(const OpCall& call, DeviceState& device, const Spec& spec);

}  // namespace lockstep
