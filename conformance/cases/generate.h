// The cases of an op, all made from its definition.
#pragma once

#include <vector>

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// How much to generate.
struct Amount {
  std::uint64_t seed = 0;
  int resized = 12;    // per op in f32; a third of it in other dtypes
  int attributes = 6;  // variations of attributes per op
};

/// Calls that must be answered and calls that must be refused, under one math mode.
std::vector<TestCase> forward_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// The op's own cases, once each, and some of them in another layout.
std::vector<TestCase> own_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// Extents of which none can be less beside the others.
struct Base;
std::vector<std::int64_t> smallest_extents(const OpDef& op, const Base& base);

/// Calls whose gradients, and gradients of gradients, are looked at.
std::vector<TestCase> gradient_cases(const OpDef& op, MathMode mode, const Amount& amount);

/// Kind of values for a case: the wanted one where it says anything. In fast mode shorter formats are welcome, but
/// small integers are exact in all of them; and of long sums the bound allows so much that only exact ones tell
/// anything.
Values values_for(const OpDef& op, const OpCase& c, MathMode mode, Values wanted = Values::drawn);

}  // namespace lockstep::conformance
