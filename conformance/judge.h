// Decides whether a device's result is close enough to the oracle's.
#pragma once

#include <string>

#include "conformance/bounds.h"
#include "conformance/suite/result.h"

namespace lockstep::conformance {

struct Verdict {
  bool ok = true;
  double worst = 0;      // largest error, as a multiple of the allowed error
  double worst_ulp = 0;  // largest error in units in the last place of the exact result
  std::string text;      // the first element that is not ok
  ErrorStatistics errors;
  bool discriminates = true;  // whether a wrong result would have failed
  bool by_budget = false;     // the bound is `correct`, but some element was judged by its budget
  bool by_bits = false;       // the bits of the trusted device were the only correct ones
};

/// A failed verdict with this text.
Verdict failure(std::string text);

/// The bound of a comparison, and properties of the case on which it depends.
struct Measure {
  Bound bound;
  /// The first operand, if it has the result's shape. Used by bounds that depend on the operand.
  const RefArray* argument = nullptr;
  /// All terms are integers whose sums are exact in any order. If the exact result is whole, the result must be exact
  /// too.
  bool exact_sums = false;
  /// The typical magnitude of the operands. Results near zero are compared with it to see whether the bound is tight
  /// enough to reveal a wrong result.
  long double typical = 1;
};

/// Compares elementwise. NaN agrees only with NaN. If the oracle says that f16 or bf16 was rounded from a wider dtype,
/// the bound is in the wider dtype, and the result must be what some number within the bound rounds to. The test is "ok
/// if error <= allowed", so NaN never passes.
Verdict judge(const RefArray& result, const RefArray& exact, const Measure& measure);

/// The same, with `slack` times the oracle's budget as the bound.
Verdict judge(const RefArray& result, const RefArray& exact, double slack = 1);

/// The multiple of the oracle's budget that a class of ops is allowed, and the reason.
struct Slack {
  double factor;
  const char* reason;
};
Slack slack_for(ErrorClass error_class);

}  // namespace lockstep::conformance
