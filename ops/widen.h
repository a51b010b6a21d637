// Ops on f16 and bf16 that a driver has for f32 only: the operands are converted to f32, the op computes there, and
// each result is rounded once. That is also what such an op is defined to give, whoever computes it.
#pragma once

#include "ops/observer.h"
#include "runtime/device_state.h"

namespace lockstep {

/// Whether a call that the driver refuses can be computed in f32 instead. Pointwise calls convert within their program.
bool can_widen(const OpCall& call);

/// The same for a call that a host kernel takes: these are written for f32 and f64.
bool widens_host_kernel(const OpCall& call);

/// Computes it so. Tapes see the op where it has a gradient rule, else its parts.
void invoke_widened(const OpCall& call, std::span<const Spec> specs, std::span<TensorRef> outputs);

/// On registration: the oracle of an op that is not pointwise is asked in f32, and its answer is to be rounded.
void widen_reference(OpDef& op);

}  // namespace lockstep
