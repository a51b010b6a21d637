// Calls too large for the oracle, whose bits the trusted device must give: data on which every order of a sum is exact,
// and ops that round the same everywhere.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

std::vector<TestCase> beside_cases(const OpDef& op, MathMode mode, const Amount& amount);

}  // namespace lockstep::conformance
