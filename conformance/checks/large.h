// Tensors above 2^31 bytes, looked at where 32-bit arithmetic would go wrong: for the stress profile.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// "large/pointwise/f32/strict/2GiB" and its like.
std::vector<std::string> large_ids(const SpecialRequest& request);
bool run_large(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
