// Gradients of pointwise calls at special values.
#pragma once

#include <string>
#include <vector>

#include "conformance/checks/gradient_setup.h"

namespace lockstep::conformance {

/// Whether each result depends on only one element per input.
bool is_elementwise(const GradientSetup& s);

/// The first wrong gradient of an elementwise call, or "". `gradients` are those of the tape, per input.
std::string fault_of_elements(const GradientSetup& s, const std::vector<RefArray>& gradients, MathMode mode);

}  // namespace lockstep::conformance
