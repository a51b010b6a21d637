// Makes calls that are judged without the oracle, as far as their results are clear. Most are too large for it.
#pragma once

#include "conformance/cases/generate.h"

namespace lockstep::conformance {

/// "beside": the trusted device must give the same result: the same bits if all devices round alike or if the data
/// makes every order of a sum exact. "repeat": the device must give the same bits each time, on data for which another
/// order of addition gives other bits. "rows": very many rows that repeat; the results must repeat too. "sizes": a
/// pointwise op at sizes around every power of two.
std::vector<TestCase> large_call_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// The sizes of a case of the suite "sizes".
std::vector<std::int64_t> sizes_of(const TestCase& t);

/// In the suite "rows", rows repeat after so many. The first dimension of a result is its rows.
inline constexpr std::int64_t row_period = 61;

/// The keys of the longest sort.
inline constexpr std::int64_t long_sort = (std::int64_t{1} << 20) + 5;

/// An input of more than `max_drawn` elements repeats `drawn_of_larger` random values, unless its values are
/// `extremes` or sparse.
inline constexpr std::int64_t max_drawn = 1 << 19, drawn_of_larger = 65521;

}  // namespace lockstep::conformance
