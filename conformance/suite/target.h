// The device that is examined, as a worker process sees it.
#pragma once

#include <vector>

#include "conformance/checks/run_case.h"
#include "conformance/report/report.h"
#include "conformance/suite/options.h"

namespace lockstep::conformance {

struct Target {
  Device device, trusted;
  std::string library;  // path of the driver's file
  std::uint32_t ordinal = 0;
  std::vector<MathMode> modes;

  bool offers(MathMode mode) const;
};

/// Loads the driver where one is named. Throws UsageError LS9001 where it is no driver, DeviceError LS3001 and LS3003
/// where there is no such device or it cannot be opened.
Target open_target(const Options& options);

/// Who is examined, how.
RunInfo describe_run(const Options& options, const Target& target);

}  // namespace lockstep::conformance
