// The tested device as a Device of the public runtime.
#pragma once

#include "conformance/runtime/runtime_case.h"
#include "lockstep/device.h"

namespace lockstep::conformance {

/// Loads the driver into the runtime if it is not loaded yet. Throws CheckFailed with the loader's reason.
Device runtime_device(const RuntimeTarget& target);

}  // namespace lockstep::conformance
