// Golden values against the oracle, and against a device.
#pragma once

#include "conformance/golden_book.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// OpDef::reference against the golden outputs.
Verdict check_oracle(const GoldenCase& c);

/// The harness's derivatives, which are differences of the oracle, against golden gradients; where a case lies on a
/// kink, differences mean nothing and are left out.
Verdict check_oracle_derivatives(const GoldenCase& c);

/// A device's results against the golden outputs.
Verdict check_device(const GoldenCase& c, Device device);

/// Gradients by the tape, and gradients of these by an outer tape, against the golden ones.
Verdict check_device_gradients(const GoldenCase& c, Device device);

}  // namespace lockstep::conformance
