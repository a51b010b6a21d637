// Suites that are not single calls of ops: sweeps over all inputs of a function, probes of precision, whole models,
// vectors of the lockstep arithmetic.
#pragma once

#include <string>
#include <vector>

#include "conformance/suite/target.h"

namespace lockstep::conformance {

struct SpecialRequest {
  const Options& options;
  const Target& target;
  bool training = false;  // models that train
  bool stress = false;    // all inputs of f32 functions, tensors above 2^31 bytes
  std::vector<MathMode> modes;
};

std::vector<std::string> special_case_ids(const SpecialRequest& request);

bool is_special_case_id(const std::string& id);

/// Runs one of them. Throws UsageError LS9001 where there is none of that id.
CaseResult run_special_case(const std::string& id, const Setting& setting);

}  // namespace lockstep::conformance
