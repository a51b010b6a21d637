// Calls that are judged without the oracle.
#pragma once

#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// What the trusted device gives: the same bits, or where devices may round in their own ways, nearly the same.
Verdict check_beside(const TestCase& t, const Setting& setting);

/// The same bits each time.
Verdict check_repeat(const TestCase& t, const Setting& setting);

/// A pointwise op at many sizes, on values that repeat: so must the results.
Verdict check_sizes(const TestCase& t, const Setting& setting);

/// That one index outside is refused wherever it stands.
Verdict check_bad_index(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
