// Where an element stands, as INDEX and LINEAR tell a program: among more elements than 24 bits count.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// The op whose attribute says which position its result tells.
OpDef position_op();

/// "positions/conformance::positions/i32/strict/linear.3x5592431".
std::vector<std::string> position_ids(const SpecialRequest& request);
bool run_positions(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
