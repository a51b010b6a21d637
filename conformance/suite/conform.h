// A whole run of the suite.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conformance/report/report.h"
#include "conformance/suite/options.h"

namespace lockstep::conformance {

/// Told of every result as it comes: how many there are of how many, and the result.
using Progress = std::function<void(std::size_t done, std::size_t all, const CaseResult& result)>;

/// Runs what the options ask for in workers that `worker` starts. Throws UsageError LS9001 where they make no sense.
Report conform(const Options& options, const std::vector<std::string>& worker, const Progress& progress);

/// The ids that such a run would consist of.
std::vector<std::string> list_cases(const Options& options, const std::vector<std::string>& worker);

}  // namespace lockstep::conformance
