// Turns a driver's status into an exception.
#pragma once

#include <string>
#include <string_view>

#include "lockstep/call_site.h"
#include "lockstep/driver.h"
#include "lockstep/error.h"

namespace lockstep {

/// The call that used the driver, for the message.
struct DriverCall {
  std::string_view op;  // the op that the user called, such as "matmul"
  const CallSite* where = nullptr;
  std::size_t first_of = 1;  // above 1: it was the first of that many, and the driver does not say which one failed
};

/// Throws the matching exception: DeviceError LS3003, LS3004 or LS3005, OutOfMemoryError LS5001, UnsupportedError
/// LS6001, or ShapeError LS2009 for an index out of range.
[[noreturn]] void raise_driver_failure(lks_status status, const lks_diag& diag, const std::string& device,
                                       const DriverCall& call);

inline void check_driver(lks_status status, const lks_diag& diag, const std::string& device, const DriverCall& call) {
  if (status != LKS_OK) [[unlikely]]
    raise_driver_failure(status, diag, device, call);
}

}  // namespace lockstep
