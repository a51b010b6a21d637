// Gradients at special values of calls in which a result depends on several elements.
#pragma once

#include <string>
#include <vector>

#include "conformance/checks/gradient_setup.h"

namespace lockstep::conformance {

/// The first wrong gradient, or "". `gradients` are those of the tape, per input. Each element is looked at together
/// with all results that depend on it. Where infinity or NaN hides slopes, another rule applies: sums of products must
/// have the gradient that follows from the coefficients, and in other ops a large finite number takes the place of
/// infinity.
std::string fault_of_dependents(const GradientSetup& s, const std::vector<RefArray>& gradients, MathMode mode);

}  // namespace lockstep::conformance
