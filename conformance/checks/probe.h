// Probes of precision: operands chosen so that one bit of the answer tells which format a kernel really computes in.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// "probe/matmul/f32/strict/operand_bits" and its like.
std::vector<std::string> probe_ids(const SpecialRequest& request);
bool run_probe(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
