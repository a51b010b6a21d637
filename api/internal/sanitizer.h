// The sanitizer that the runtime or a driver is built with, as in lks_driver_api::sanitizer. The two must agree.
#pragma once

#include <cstdint>

#include "lockstep/driver.h"

namespace lockstep {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::uint32_t own_sanitizer = LKS_SANITIZER_ADDRESS;
#elif defined(__SANITIZE_THREAD__)
constexpr std::uint32_t own_sanitizer = LKS_SANITIZER_THREAD;
#else
constexpr std::uint32_t own_sanitizer = LKS_SANITIZER_NONE;
#endif

}  // namespace lockstep
