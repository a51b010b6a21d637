// Runs cases in worker processes: one that crashes or hangs costs its case, and another takes its place.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "conformance/report/report.h"
#include "conformance/suite/options.h"

namespace lockstep::conformance {

/// What a first worker tells of the device, and the ids that a run consists of.
struct Briefing {
  RunInfo run;
  std::vector<std::string> ids;
};

class Supervisor {
 public:
  /// `worker` is the command that starts a worker for these options.
  Supervisor(const Options& options, std::vector<std::string> worker);

  /// Throws UsageError LS9001 where the options name no usable driver, device or case. A driver that brings the worker
  /// down is told by `crash`.
  Briefing brief(CaseResult& crash);

  /// Runs the cases and hands each result to `done`, in the order in which they end. `done` returns false to stop.
  void run(const std::vector<std::string>& ids, const std::function<bool(const CaseResult&)>& done);

 private:
  const Options& options_;
  const std::vector<std::string> command_;
};

}  // namespace lockstep::conformance
