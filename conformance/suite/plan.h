// Selects the cases of a run.
#pragma once

#include <string>
#include <vector>

#include "conformance/suite/target.h"

namespace lockstep::conformance {

/// Ids in the order in which they run: first one of each suite, op and mode, then the second of each, and so on, so
/// that an interrupted run has covered a part of everything.
std::vector<std::string> plan_cases(const Options& options, const Target& target);

/// Whether a driver must support this dtype, in every mode that it offers, because every program needs it. Other dtypes
/// may be refused, with a reason.
bool is_required(DType dtype);

}  // namespace lockstep::conformance
