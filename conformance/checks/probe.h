// Probes of precision: operands chosen so that one bit of the result reveals the format in which a kernel computes.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// Ids such as "probe/matmul/f32/strict/operand_bits".
std::vector<std::string> probe_ids(const SpecialRequest& request);
bool run_probe(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
