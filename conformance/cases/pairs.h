// Makes pairs of calls that differ in one property only. What a driver prepares for one may be wrong for the other.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// Cases of the suite "pair". `modes`: the modes that the device offers. If `amount.alone`, only some.
std::vector<TestCase> pair_cases(const OpDef& op, MathMode mode, const Amount& amount,
                                 const std::vector<MathMode>& modes);

/// The call that precedes a case of that suite, according to its `after`: "empty.1", "smaller" and "larger" change
/// extents, "layout.dense" changes the layout, and "mode.fast", "dtype.f64" and "attribute.strides.0=2" change what
/// they name. nullopt if there is no such call.
std::optional<TestCase> first_of_pair(const TestCase& t);

}  // namespace lockstep::conformance
