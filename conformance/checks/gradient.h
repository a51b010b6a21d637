// Gradients and second gradients of a case, by tapes, with random cotangents.
#pragma once

#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// Gradients by the tape against differences of the oracle, at a sample of elements; in lockstep mode also the bits of
/// the trusted device.
Verdict check_gradient(const TestCase& t, const Setting& setting);

/// Gradients of the gradient by nested tapes, against second differences of the oracle.
Verdict check_second_gradient(const TestCase& t, const Setting& setting);

/// Whether the case has gradients: a differentiable op, floating inputs; and whether it is smooth at the drawn values,
/// too.
bool has_derivative(const OpDef& op, const OpCase& c);
bool has_gradient(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
