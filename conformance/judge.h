// Whether a device's result is close enough to the oracle's.
#pragma once

#include <string>

#include "lockstep/op_def.h"

namespace lockstep::conformance {

struct Verdict {
  bool ok = true;
  double worst = 0;      // largest error in units of what is allowed
  double worst_ulp = 0;  // largest error in units in the last place of the exact result
  std::string text;      // the worst element that is not ok
};

/// Compares elementwise. Allowed is, per element, `slack` times the oracle's error budget in units of the dtype's unit
/// roundoff, plus one unit of the smallest subnormal; where the oracle gives no budget the bits must agree. NaN agrees
/// with NaN only. Written as "ok if error <= allowed", so that NaN never passes.
Verdict judge(const RefArray& result, const RefArray& exact, double slack = 1);

/// What a class of ops is allowed beyond the oracle's budget, with the reason.
struct Slack {
  double factor;
  const char* reason;
};
Slack slack_for(ErrorClass error_class);

}  // namespace lockstep::conformance
