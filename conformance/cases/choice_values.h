// Values for ops that choose, move or compare numbers without computing new ones: where the answer lies, and numbers
// that only a bit tells apart.
#pragma once

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// Whether input i of the case takes values of that kind: extremes, bits or neighbours.
bool takes_choice(const TestCase& t, std::size_t i);

/// Fills input i with them.
void fill_choice(const TestCase& t, std::size_t i, std::uint64_t seed, RefArray& array);

/// Whether the op refuses indices that lie outside, and this case of it has some.
bool checks_indices(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
