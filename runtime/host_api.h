// The services that the host offers to drivers.
#pragma once

#include "lockstep/driver.h"

namespace lockstep {

/// The one table, valid for the life of the process.
const lks_host_api& host_api();

/// A diag ready to be passed to a driver: header set, `operand` -1.
lks_diag empty_diag();

}  // namespace lockstep
