// The services of the host for drivers.
#pragma once

#include "lockstep/driver.h"

namespace lockstep {

/// The only table; valid until the process ends.
const lks_host_api& host_api();

/// A diag that can be passed to a driver: the header is set, and `operand` is -1.
lks_diag empty_diag();

}  // namespace lockstep
