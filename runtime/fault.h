// Fault points: places that can be made to fail.
#pragma once

#include <atomic>

#include "lockstep/driver.h"

namespace lockstep::fault {

/// True while a FaultInjection lives; the only cost of a fault point otherwise.
extern std::atomic<bool> armed;

lks_status reach(std::uint32_t kind, const char* site);

/// LKS_OK, or the status that the native call is to be taken to have returned.
inline lks_status point(std::uint32_t kind, const char* site) {
  return armed.load(std::memory_order_relaxed) ? reach(kind, site) : LKS_OK;
}

}  // namespace lockstep::fault
