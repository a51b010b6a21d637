// Checks the positions that the instructions INDEX and LINEAR give, in tensors with more elements than 24 bits can
// count.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// The op whose attribute selects the position that it adds to x: along an axis, or the linear one.
OpDef position_op();

/// Ids such as "positions/conformance::positions/i32/strict/linear.3x5592431".
std::vector<std::string> position_ids(const SpecialRequest& request);
bool run_positions(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
