// Checks that a driver can work with the host that loads it.
#pragma once

#include "lockstep/driver.h"

namespace host {

/// For the entry function: LKS_OK, or LKS_ABI_MISMATCH if the host has another major version or lacks an entry of ABI
/// 1.0. A driver that needs a newer entry also asks LKS_HAS_FIELD for it.
lks_status check_host(const lks_host_api& host, lks_diag* diag);

}  // namespace host
