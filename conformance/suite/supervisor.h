// Runs cases in worker processes. If a worker crashes or hangs, only its current case fails, and another worker
// replaces it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conformance/report/report.h"
#include "conformance/suite/options.h"

namespace lockstep::conformance {

/// The description of the device and the ids of the cases, as the first worker reports them.
struct RunPlan {
  RunInfo run;
  std::vector<std::string> ids;
};

class Supervisor {
 public:
  /// `worker` is the command that starts a worker for these options.
  Supervisor(const Options& options, std::vector<std::string> worker);

  /// Throws UsageError LS9001 if the options name no usable driver, device or case. If the worker crashes or hangs,
  /// sets `crash`.
  RunPlan plan(CaseResult& crash);

  /// Runs the cases and hands each result to `done`, in the order in which they end. `done` returns false to stop.
  void run(const std::vector<std::string>& ids, const std::function<bool(const CaseResult&)>& done);

 private:
  const Options& options_;
  const std::vector<std::string> command_;
};

}  // namespace lockstep::conformance
