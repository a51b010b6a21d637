// Checks gradients at NaN, infinities, zeros of both signs, ties and the limits of formats.
#pragma once

#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// In lockstep mode, gradients and second derivatives must have the bits of the trusted device. In the other modes, and
/// on the trusted device, they must be what OpDef::slope says, else lie between the slopes of the oracle on both sides,
/// or be their limit at infinity. If a function is flat at infinity, its first and second derivatives there must be 0.
/// If NaN among the operands makes the result NaN, not all gradients may be 0.
Verdict check_special_gradient(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
