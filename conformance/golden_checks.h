// Compares golden values with the oracle and with a device.
#pragma once

#include "conformance/golden_book.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// Compares OpDef::reference with the golden outputs.
Verdict check_oracle(const GoldenCase& c);

/// Compares the suite's derivatives, which are differences of the oracle, with the golden gradients. Differences are
/// meaningless at a kink, so elements at a kink are skipped, and a case with a kink is not compared in second order.
Verdict check_oracle_derivatives(const GoldenCase& c);

/// Compares a device's results with the golden outputs.
Verdict check_device(const GoldenCase& c, Device device);

/// Compares gradients by the tape, and gradients of these by an outer tape, with the golden ones.
Verdict check_device_gradients(const GoldenCase& c, Device device);

}  // namespace lockstep::conformance
