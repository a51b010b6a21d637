// Checks of calls that are too large for the oracle, or for which it is asked only where results are not nearly those
// of another call.
#pragma once

#include "conformance/checks/run_case.h"
#include "conformance/judge.h"

namespace lockstep::conformance {

/// The device must give the same bits as the trusted device. If devices may round differently, it must give nearly the
/// same results, or such that the oracle finds within the bounds.
Verdict check_large_calls(const TestCase& t, const Setting& setting);

/// The device must give the same bits each time.
Verdict check_repeat(const TestCase& t, const Setting& setting);

/// Runs a pointwise op at many sizes, on values that repeat. The results must repeat too; where devices may round
/// differently, each must be within the bounds.
Verdict check_sizes(const TestCase& t, const Setting& setting);

/// The same for an op on very many rows that repeat.
Verdict check_rows(const TestCase& t, const Setting& setting);

/// An out-of-range index must be refused at every position.
Verdict check_bad_index(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
