// Which cases a run consists of.
#pragma once

#include <string>
#include <vector>

#include "conformance/suite/target.h"

namespace lockstep::conformance {

/// Ids in the order in which they run: one of each op and suite, then the next of each, so that a run that is cut short
/// has seen something of everything.
std::vector<std::string> plan_cases(const Options& options, const Target& target);

/// Whether a driver must answer cases in this dtype, in every mode that it offers: those that every program needs.
/// Other dtypes may be refused, with a reason.
bool is_required(DType dtype);

}  // namespace lockstep::conformance
