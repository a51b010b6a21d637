// Runs one case of an op on one device and judges it.
#pragma once

#include "conformance/bounds.h"
#include "conformance/cases/test_case.h"
#include "conformance/suite/result.h"

namespace lockstep::conformance {

/// The device on which cases run, and what their results are compared with.
struct Setting {
  Device device;
  Device trusted;  // the reference device; lockstep mode must give its bits
  const Bounds& bounds;
};

/// Does not throw if the device is wrong; the result says so.
CaseResult run_case(const TestCase& t, const Setting& setting);

}  // namespace lockstep::conformance
