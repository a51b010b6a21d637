// The sanitizer that a driver is built with, for lks_driver_api::sanitizer.
#pragma once

#include <cstdint>

#include "lockstep/driver.h"

namespace common {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::uint32_t sanitizer = LKS_SANITIZER_ADDRESS;
#elif defined(__SANITIZE_THREAD__)
constexpr std::uint32_t sanitizer = LKS_SANITIZER_THREAD;
#else
constexpr std::uint32_t sanitizer = LKS_SANITIZER_NONE;
#endif

}  // namespace common
