// The tested device as the public runtime knows it.
#pragma once

#include "conformance/runtime/runtime_case.h"
#include "lockstep/device.h"

namespace lockstep::conformance {

/// Loads the driver into the runtime unless it is there already. Throws CheckFailed with the loader's reason.
Device runtime_device(const RuntimeTarget& target);

}  // namespace lockstep::conformance
