// A worker process: opens the device, says what it would run, and runs cases one by one as it is told.
//
// It reads lines ("plan", "run ID") and answers with lines: "hello" and "case ID … end" as they are, results as reports
// of one case in JSON. Whatever the driver does to the process is then the verdict on the case it was told last.
#pragma once

#include "conformance/suite/options.h"

namespace lockstep::conformance {

/// Serves until `in` ends. Returns the process's exit status.
int run_worker(const Options& options, int in, int out);

}  // namespace lockstep::conformance
