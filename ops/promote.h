// Ops on f16 and bf16 that a driver has for f32 only. The operands are converted to f32, the op computes in f32, and
// each result is rounded once. This also defines the result of such an op, whatever computes it.
#pragma once

#include "ops/observer.h"
#include "runtime/device_state.h"

namespace lockstep {

/// Whether a call that the driver refuses can be computed in f32 instead. Pointwise calls convert within their program.
bool can_promote(const OpCall& call);

/// The same for a call with a host kernel: host kernels are written for f32 and f64.
bool promotes_host_kernel(const OpCall& call);

/// Computes the call in f32. Tapes record the op if it has a gradient rule or no decomposition, else its parts.
void invoke_promoted(const OpCall& call, std::span<const TensorSpec> specs, std::span<TensorRef> outputs);

/// On registration: the oracle of an op that is not pointwise computes in f32, and its results are rounded afterwards.
void promote_reference(OpDef& op);

}  // namespace lockstep
