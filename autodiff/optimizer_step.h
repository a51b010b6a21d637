#pragma once

#include "lockstep/optim.h"

namespace lockstep::optim {

/// Waits for the optimizer's last step, and throws the oldest failure of its stream that was not reported yet. A step
/// that has failed does not count any more.
void report_failed_step(const Optimizer& optimizer, CallSite where);

}  // namespace lockstep::optim
