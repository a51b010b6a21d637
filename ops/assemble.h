// Outputs that are put together from copies.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// Carries out OpDef::assemble: one fill, if asked for, and one strided copy per piece, submitted as one unit.
TensorRef assemble(const OpCall& call, DeviceState& device, const Spec& spec);

}  // namespace lockstep
