// Checks that judge calls without the oracle.
#pragma once

#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// The device must give the same bits as the trusted device, or nearly the same results if devices may round
/// differently.
Verdict check_large_calls(const TestCase& t, const Setting& setting);

/// The device must give the same bits each time.
Verdict check_repeat(const TestCase& t, const Setting& setting);

/// Runs a pointwise op at many sizes, on values that repeat. The results must repeat too.
Verdict check_sizes(const TestCase& t, const Setting& setting);

/// Runs an op on very many rows that repeat. The results must repeat too.
Verdict check_rows(const TestCase& t, const Setting& setting);

/// An out-of-range index must be refused at every position.
Verdict check_bad_index(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
