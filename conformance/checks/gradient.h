// Checks gradients and second gradients of a case, computed by tapes with random cotangents.
#pragma once

#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// Compares gradients by the tape with differences of the oracle, at a sample of elements. In lockstep mode they must
/// have the bits of the trusted device, whose own run compares them with the oracle.
Verdict check_gradient(const TestCase& t, const Setting& setting);

/// Compares gradients of the gradient, by nested tapes, with second differences of the oracle. In lockstep mode they
/// must have the bits of the trusted device.
Verdict check_second_gradient(const TestCase& t, const Setting& setting);

/// has_derivative: whether the case has gradients, which takes a differentiable op and floating inputs. has_gradient:
/// whether the function is also smooth at the random values.
bool has_derivative(const OpDef& op, const OpCase& c);
bool has_gradient(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
