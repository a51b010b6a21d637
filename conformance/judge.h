// Whether a device's result is close enough to the oracle's.
#pragma once

#include <string>

#include "conformance/bounds.h"
#include "conformance/suite/result.h"

namespace lockstep::conformance {

struct Verdict {
  bool ok = true;
  double worst = 0;      // largest error in units of what is allowed
  double worst_ulp = 0;  // largest error in units in the last place of the exact result
  std::string text;      // the worst element that is not ok
  ErrorStatistics errors;
  bool telling = true;     // whether a wrong result would have been found out
  bool by_budget = false;  // some element was allowed the oracle's budget where others of its class are rounded once
};

/// What a comparison goes by.
struct Measure {
  Bound bound;
  /// The first operand, where it has the result's shape: for bounds that mention it.
  const RefArray* argument = nullptr;
  /// All terms are integers whose sums are exact in any order: so must the result be, where the exact one is whole.
  bool exact_sums = false;
  /// About how large the operands are: what results near zero are compared with to see whether the bound says anything.
  long double typical = 1;
};

/// Compares elementwise. NaN agrees with NaN only. Where the oracle says that f16 or bf16 was rounded from a wider
/// dtype, the bound is of that dtype, and the result must be what some number within it rounds to. Written as "ok if
/// error <= allowed", so that NaN never passes.
Verdict judge(const RefArray& result, const RefArray& exact, const Measure& measure);

/// The same with `slack` times the oracle's budget as bound.
Verdict judge(const RefArray& result, const RefArray& exact, double slack = 1);

/// What a class of ops is allowed beyond the oracle's budget, with the reason.
struct Slack {
  double factor;
  const char* reason;
};
Slack slack_for(ErrorClass error_class);

}  // namespace lockstep::conformance
