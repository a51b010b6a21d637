// Fault points: places where tests can inject a failure.
#pragma once

#include <atomic>

#include "lockstep/driver.h"

namespace lockstep::fault {

/// True while a FaultInjection exists. Otherwise, this check is the only cost of a fault point.
extern std::atomic<bool> armed;

lks_status reach(std::uint32_t kind, const char* site);

/// LKS_OK, or the status to use instead of that of the native call.
inline lks_status point(std::uint32_t kind, const char* site) {
  return armed.load(std::memory_order_relaxed) ? reach(kind, site) : LKS_OK;
}

}  // namespace lockstep::fault
