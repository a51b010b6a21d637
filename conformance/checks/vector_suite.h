// The vectors of the lockstep arithmetic as cases of the suite.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// "vectors/sum/f32/lockstep/last_axis.1025/transposed"; with "strict", judged by the oracle.
std::vector<std::string> vector_ids(const SpecialRequest& request);
bool run_vector(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
