// How the driver executes each op (native, decomposed or refused), and which kernel variants it lists.
#pragma once

#include "conformance/report/report.h"
#include "conformance/suite/target.h"

namespace lockstep::conformance {

/// Fills `placements` and `variants`; no variant is marked as hit yet.
void describe_placements(const Target& target, RunInfo& run);

/// Registers the suite's own ops, as an application would. Each must run on every driver.
void register_own_ops();

}  // namespace lockstep::conformance
