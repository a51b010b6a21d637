// A complete run of the suite.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conformance/report/report.h"
#include "conformance/suite/options.h"

namespace lockstep::conformance {

/// Called with every result as it arrives: `done` is the number of results so far, `all` the total.
using Progress = std::function<void(std::size_t done, std::size_t all, const CaseResult& result)>;

/// Runs the cases that the options select, in worker processes that the command `worker` starts. Throws UsageError
/// LS9001 if the options are invalid.
Report conform(const Options& options, const std::vector<std::string>& worker, const Progress& progress);

/// The ids of the cases that such a run would execute.
std::vector<std::string> list_cases(const Options& options, const std::vector<std::string>& worker);

}  // namespace lockstep::conformance
