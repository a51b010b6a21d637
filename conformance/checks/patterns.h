// Checks programs in which a compiler might take a short cut that changes results: conversions there and back, constant
// operands, a value combined with itself. The instructions alone are in instructions.h.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// The op whose attribute selects a group of patterns.
OpDef pattern_op();

/// Ids such as "instructions/conformance::patterns/i32/strict/divide.i32".
std::vector<std::string> pattern_ids(const SpecialRequest& request);
bool run_patterns(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
