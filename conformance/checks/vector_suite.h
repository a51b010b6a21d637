// The test vectors of lockstep mode as cases of the suite.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// Ids such as "vectors/sum/f32/lockstep/f32.last.1025/transposed". Those with "strict" are judged by the oracle.
std::vector<std::string> vector_ids(const SpecialRequest& request);
bool run_vector(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
