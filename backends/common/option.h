// The options that the user gives to the host for a driver.
#pragma once

#include <string>

#include "lockstep/driver.h"

namespace common {

/// The text of an option; empty if it is not set.
inline std::string option(const lks_host_api& host, const char* key) {
  char text[512];
  return host.get_option(host.host, key, text, sizeof text) < 0 ? "" : text;
}

}  // namespace common
