// What the call of a case gives.
#pragma once

#include <optional>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// The output specs of a call, or nullopt if the op refuses it. A thread remembers the answers for the op of its last
/// question.
std::optional<std::vector<TensorSpec>> infer_outputs(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
