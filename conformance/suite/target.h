// The device under test, in a worker process.
#pragma once

#include <vector>

#include "conformance/checks/run_case.h"
#include "conformance/report/report.h"
#include "conformance/suite/options.h"

namespace lockstep::conformance {

struct Target {
  Device device, trusted;
  std::string library;  // path of the driver library
  std::uint32_t ordinal = 0;
  std::vector<MathMode> modes;

  bool offers(MathMode mode) const;
};

/// Loads the driver if the options name one. Throws UsageError LS9001 if it is not a usable driver, and DeviceError
/// LS3001 or LS3003 if the device does not exist or cannot be opened.
Target open_target(const Options& options);

/// Describes the device under test and the options of the run.
RunInfo describe_run(const Options& options, const Target& target);

}  // namespace lockstep::conformance
