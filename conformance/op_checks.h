// Forward, gradient and second gradient of one case on one device.
#pragma once

#include "conformance/case_data.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// The result against the oracle; for cases with an error, that the call throws exactly that. For each layout.
Verdict check_forward(const OpDef& op, const OpCase& c, Device device, Layout layout);

/// Gradients by the tape, with random cotangents, against differences of the oracle, at a sample of elements.
Verdict check_gradient(const OpDef& op, const OpCase& c, Device device);

/// Gradients of the gradient by nested tapes, against second differences of the oracle.
Verdict check_second_gradient(const OpDef& op, const OpCase& c, Device device);

/// Whether derivatives of the case are defined: a differentiable op, floating inputs, smooth at the drawn values.
bool has_gradient(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
