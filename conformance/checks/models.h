// Small models. The audit judges every op call of two training steps by the oracle; a trajectory compares a whole
// training with that on the trusted device.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// "audit/model/f32/strict/cnn": two training steps; each op call is judged on its own inputs.
std::vector<std::string> audit_ids(const SpecialRequest& request);
bool run_audit(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

/// "trajectory/model/f32/lockstep/cnn.adam": 100 steps, compared with the trusted device.
std::vector<std::string> trajectory_ids(const SpecialRequest& request);
bool run_trajectory(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
