// The input values of a case. They are drawn from the names of the op and the case and from the seed, so they are the
// same on every machine.
#pragma once

#include <vector>

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// One array per input, with values that its dtype can represent. Absent inputs have no values; plain numbers have one.
std::vector<RefArray> case_inputs(const TestCase& t);

/// The values of an op's own case as the case specifies them, with seed 0.
std::vector<RefArray> case_inputs(const OpDef& op, const OpCase& c);

/// Whether values of this kind can reveal errors in the case: exact sums in ops that sum, subnormal numbers in floats,
/// …
bool applies(Values values, const OpDef& op, const OpCase& c);

/// Whether a result is computed in one step, so that no intermediate result overflows or underflows.
inline bool is_one_step(const OpDef& op) {
  return op.error_class != ErrorClass::sum && op.error_class != ErrorClass::composed;
}

/// Whether results are sums that have been divided. They are not exact even if the sums are.
bool divides_sums(const OpDef& op);

/// Whether kernels of this mode may compute products and sums in a shorter format than the dtype's own: fast mode may
/// shorten f32, and what is computed in it, but not f64.
inline bool may_shorten(MathMode mode, DType dtype) {
  return mode == MathMode::fast && is_floating(dtype) && compute_dtype(dtype) != DType::f64;
}

/// A value rounded to the dtype. Integer dtypes truncate and saturate.
long double round_to(long double value, DType t);

/// 64 bits from a text (FNV-1a).
std::uint64_t hash_of(const std::string& text);

}  // namespace lockstep::conformance
