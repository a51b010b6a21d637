// Makes cases on both sides of every size at which a driver switches to another kernel.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// Queries the variant that the driver would use as each extent grows, and finds each change by bisection. Empty if the
/// driver has no kernel of its own, or uses one variant for all sizes.
std::vector<TestCase> breakpoint_cases(const OpDef& op, MathMode mode, const Amount& amount, Device device);

/// The variant that the driver would use; empty if it has none.
std::string variant_for(const OpDef& op, const OpCase& c, MathMode mode, Device device);

}  // namespace lockstep::conformance
