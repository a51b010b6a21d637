// Checks calls with plain numbers as operands, one after the other.
#pragma once

#include "conformance/cases/test_case.h"
#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// Each call of `calls_with_numbers` must pass `check_forward`. Throws what the calls throw.
Verdict check_numbers(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
