// Values for ops that choose, move or compare numbers without computing new ones. They put the answer in particular
// places, or differ by only one bit.
#pragma once

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// Whether input i takes the kind of values of the case: `extremes`, `bits`, `neighbours` or `ends`.
bool takes_choice(const TestCase& t, std::size_t i);

/// Fills input i with values of that kind.
void fill_choice(const TestCase& t, std::size_t i, std::uint64_t seed, RefArray& array);

/// Whether the op refuses out-of-range indices, and this case has indices.
bool checks_indices(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
