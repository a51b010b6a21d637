// A worker process: opens the device, lists the cases of the run, and runs cases one by one on request.
//
// It starts with "hello REPORT", or "refused ERROR" if the device cannot be opened. Then it reads request lines and
// answers in lines: "plan" with "case ID" lines and "end", "placements" with "placements REPORT", "run ID" with "result
// REPORT", and any of them with "refused ERROR". REPORT is a report and ERROR an error, as JSON. If the process crashes
// or hangs, that is the result of the last requested case.
#pragma once

#include "conformance/suite/options.h"

namespace lockstep::conformance {

/// Serves requests until `in` ends, then exits the process. Returns an exit status if the device cannot be opened.
int run_worker(const Options& options, int in, int out);

}  // namespace lockstep::conformance
