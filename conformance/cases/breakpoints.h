// Cases on both sides of every size at which a driver goes over to another kernel.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// Asks the driver which variant it would take as each extent grows, and halves the distance until the change is found.
/// Empty where the driver has no kernel of its own, or one variant for all sizes.
std::vector<TestCase> breakpoint_cases(const OpDef& op, MathMode mode, const Amount& amount, Device device);

/// The variant that the driver would take; empty where it has none.
std::string variant_for(const OpDef& op, const OpCase& c, MathMode mode, Device device);

}  // namespace lockstep::conformance
