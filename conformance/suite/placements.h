// How the driver carries out each op, and which kernels it says it has.
#pragma once

#include "conformance/report/report.h"
#include "conformance/suite/target.h"

namespace lockstep::conformance {

/// Fills `placements` and, with nothing hit yet, `variants`.
void describe_placements(const Target& target, RunInfo& run);

/// Ops that the suite itself adds to the registry, as an application would: each must run on every driver.
void register_own_ops();

}  // namespace lockstep::conformance
