// Small models: every op call of a training step against the oracle, and whole trainings against the trusted device.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// "audit/model/f32/strict/cnn": one training step; each op call is judged by its own inputs.
std::vector<std::string> audit_ids(const SpecialRequest& request);
bool run_audit(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

/// "trajectory/model/f32/lockstep/cnn.adam": 100 steps beside the trusted device.
std::vector<std::string> trajectory_ids(const SpecialRequest& request);
bool run_trajectory(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
