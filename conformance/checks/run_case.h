// Carries out one case of an op on one device and judges it.
#pragma once

#include "conformance/bounds.h"
#include "conformance/cases/test_case.h"
#include "conformance/suite/result.h"

namespace lockstep::conformance {

/// Where and how cases run.
struct Setting {
  Device device;
  Device trusted;  // the reference device, whose bits the lockstep mode must give
  const Bounds& bounds;
};

/// Never throws for what the device does wrong; that is the result.
CaseResult run_case(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
