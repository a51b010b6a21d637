// Tables of drivers that were built with an older or a newer driver.h than this runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "lockstep/driver.h"

namespace lockstep {

/// Copies a driver's table of any size to `own`, which has `own_bytes` bytes. Slots that the driver does not have
/// become null, and slots that this runtime does not know are left out. Returns an empty text, or, if a slot of ABI 1.0
/// is missing, a text that names it; then `own` is unchanged. `own_bytes` is a parameter so that a test can have a
/// table that is larger than lks_driver_api is today.
std::string copy_driver_table(const lks_driver_api& given, lks_driver_api& own, std::size_t own_bytes);

/// Checks the table that get_group returned for one LKS_CAP_* bit. Returns an empty text, or a text that says what is
/// missing. Slots that this runtime does not know are not looked at.
std::string missing_in_group(std::uint64_t capability, const void* group);

}  // namespace lockstep
