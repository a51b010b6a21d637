// Pairs of calls that differ in one property only: what a driver prepares for the one may not serve the other.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// Cases of the suite "pair". `modes`: those that the device offers.
std::vector<TestCase> pair_cases(const OpDef& op, MathMode mode, const Amount& amount,
                                 const std::vector<MathMode>& modes);

/// The call that goes before a case of that suite, by its `after`: "empty.1", "smaller" and "larger" name extents,
/// "layout.dense" how its tensors lie, "mode.fast", "dtype.f64" and "attribute.strides.0=2" what their names say.
/// nullopt where there is no such call.
std::optional<TestCase> first_of_pair(const TestCase& t);

}  // namespace lockstep::conformance
