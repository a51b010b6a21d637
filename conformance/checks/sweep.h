// Runs functions of one float over all their inputs, or over a sample that is evenly spread over the bit patterns.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// Ids such as "sweep/exp/f16/strict/all"; "sweep/exp/f32/strict/2of4", a quarter of a sample of every 16383rd pattern;
/// "sweep/exp/f32/strict/near", around special points; with `stress` "sweep/exp/f32/strict/17of256.full". In fast mode,
/// "close" and "thin": fewer numbers around these points, and fewer over the whole range.
std::vector<std::string> sweep_ids(const SpecialRequest& request);
bool run_sweep(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
