// Outputs that are made of copies of the inputs.
#pragma once

#include "lockstep/op_def.h"
#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// Runs OpDef::copy_plan: one optional fill, then one strided copy per piece. The copies are submitted as one unit.
TensorRef run_copies(const OpCall& call, DeviceState& device, const TensorSpec& spec);

}  // namespace lockstep
