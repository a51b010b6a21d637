// Sizes of structs and tables in ABI 1.0: the smallest that a driver or a host meets. They never change.
#pragma once

#include <cstddef>

#include "lockstep/driver.h"

namespace lockstep {

inline constexpr std::size_t host_api_1_0 = offsetof(lks_host_api, fault_point) + sizeof(void*);
inline constexpr std::size_t driver_api_1_0 = offsetof(lks_driver_api, kernel_variant) + sizeof(void*);
inline constexpr std::size_t diag_1_0 = offsetof(lks_diag, hint) + sizeof(lks_diag::hint);

}  // namespace lockstep
