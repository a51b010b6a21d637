// Checks tensors above 2^31 bytes where 32-bit arithmetic would overflow. For the stress profile.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// Ids such as "large/add/i32/strict/2GiB".
std::vector<std::string> large_ids(const SpecialRequest& request);
bool run_large(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
