// Gradients at NaN, infinities, zeros of both signs, ties and the ends of formats.
#pragma once

#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// In lockstep mode the bits of the trusted device; in every mode, of f32 and f64: what OpDef::slope says, else between
/// the slopes that the oracle has on both sides; 0 where a function is flat at infinity, in second order too; and not 0
/// throughout where NaN among the operands makes the result NaN.
Verdict check_special_gradient(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
