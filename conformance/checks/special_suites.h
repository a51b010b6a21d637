// Suites whose cases are not single op calls: sweeps over all inputs of a function, probes of precision, whole models,
// large tensors, instructions of programs, and the test vectors of lockstep mode.
#pragma once

#include <string>
#include <vector>

#include "conformance/suite/target.h"

namespace lockstep::conformance {

struct SpecialRequest {
  const Options& options;
  const Target& target;
  bool training = false;  // run the suites that train models
  bool stress = false;    // all inputs of f32 functions, tensors above 2^31 bytes
  std::vector<MathMode> modes;
};

std::vector<std::string> special_case_ids(const SpecialRequest& request);

bool is_special_case_id(const std::string& id);

/// Runs one of these cases. Throws UsageError LS9001 if there is none with that id.
CaseResult run_special_case(const std::string& id, const Setting& setting);

}  // namespace lockstep::conformance
