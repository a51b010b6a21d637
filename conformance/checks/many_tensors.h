// Checks a program of as many tensors as the suite asks of drivers: ten inputs and six outputs.
#pragma once

#include "conformance/checks/special_suites.h"

namespace lockstep::conformance {

/// The op: each output is another weighted sum of all inputs.
OpDef many_tensors_op();

/// Ids such as "instructions/conformance::many_tensors/f32/strict/dense".
std::vector<std::string> many_tensors_ids(const SpecialRequest& request);
bool run_many_tensors(const std::vector<std::string>& parts, const Setting& setting, CaseResult& result);

}  // namespace lockstep::conformance
