// Functions of one float over all their inputs, or over as many as time allows, evenly spread over the bit patterns.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// "sweep/exp/f16/strict/all"; "sweep/exp/f32/strict/2of4" with every 16384th pattern; with `stress`
/// "sweep/exp/f32/strict/17of256.full".
std::vector<std::string> sweep_ids(const SpecialRequest& request);
bool run_sweep(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
