// The numbers of a case: the same on every machine, drawn from the names of op and case and from the seed.
#pragma once

#include <vector>

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// One array per input, with values representable in its dtype. Absent inputs have none; numbers have one.
std::vector<RefArray> case_inputs(const TestCase& t);

/// The values of an op's own case as it asks for them, with seed 0.
std::vector<RefArray> case_inputs(const OpDef& op, const OpCase& c);

/// Whether such values say anything about the case: exact sums about sums, subnormal numbers about floats, …
bool applies(Values values, const OpDef& op, const OpCase& c);

/// Whether a result is rounded once, and nothing overflows or vanishes on the way to it.
inline bool is_one_step(const OpDef& op) {
  return op.error_class != ErrorClass::sum && op.error_class != ErrorClass::composed;
}

/// A value rounded to the dtype.
long double round_to(long double value, DType t);

/// 64 bits from a text (FNV-1a).
std::uint64_t hash_of(const std::string& text);

}  // namespace lockstep::conformance
