// Makes the cases of an op from its definition.
#pragma once

#include <vector>

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// How much to generate.
struct Amount {
  std::uint64_t seed = 0;
  int resized = 12;    // cases with other extents per op in its main dtype; a third of that in each other dtype
  int attributes = 6;  // cases with one changed attribute per op; as many with two
  bool alone = false;  // lockstep mode is the only mode of the run, and so gets some cases that strict mode gets
};

/// Calls that must succeed and calls that must be refused, in one math mode.
std::vector<TestCase> forward_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// The op's own cases, once each, some of them also in another layout, and some with special values.
std::vector<TestCase> own_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// Calls whose first and second gradients are checked.
std::vector<TestCase> gradient_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// The kind of values for a case: `wanted` if it can reveal errors, else values whose sums are exact. In fast mode
/// kernels may use shorter formats, but small integers are exact in all of them. For long sums the bound is so wide
/// that only exact sums reveal errors.
Values values_for(const OpDef& op, const OpCase& c, MathMode mode, Values wanted = Values::drawn);

}  // namespace lockstep::conformance
