// From a driver's status to an exception.
#pragma once

#include <source_location>
#include <string>
#include <string_view>

#include "lockstep/driver.h"
#include "lockstep/error.h"

namespace lockstep {

/// Who called the driver, for the message.
struct DriverCall {
  std::string_view op;  // what the user called, such as "matmul"
  const std::source_location* where = nullptr;
};

/// Throws the exception that fits: DeviceError LS3004/LS3005, OutOfMemoryError LS5001 or UnsupportedError LS6001.
[[noreturn]] void raise_driver_failure(lks_status status, const lks_diag& diag, const std::string& device,
                                       const DriverCall& call);

inline void check_driver(lks_status status, const lks_diag& diag, const std::string& device, const DriverCall& call) {
  if (status != LKS_OK) [[unlikely]]
    raise_driver_failure(status, diag, device, call);
}

}  // namespace lockstep
