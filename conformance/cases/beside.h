// Calls that are judged without the oracle, most of them too large for it.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// "beside": the trusted device must give the same, bit by bit where all devices round alike or data is chosen on which
/// every order of a sum is exact. "repeat": the device must give the same bits each time, on data on which another
/// order gives others. "sizes": a pointwise op at sizes around every power of two.
std::vector<TestCase> beside_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// The sizes of a case of the suite "sizes".
std::vector<std::int64_t> sizes_of(const TestCase& t);

/// Inputs of which no more than this are drawn; what is larger repeats them.
inline constexpr std::int64_t most_drawn = 1 << 19, drawn_of_larger = 65521;

}  // namespace lockstep::conformance
