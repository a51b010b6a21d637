// A made-up run with everything that a report can show, for tests.
#pragma once

#include "conformance/report/report.h"

namespace lockstep::conformance {

/// Every registered op in four dtypes and three modes, forward and gradient; with a failure of every kind, refusals,
/// probes, runtime suites, variants and placements.
Report sample_report();

}  // namespace lockstep::conformance
