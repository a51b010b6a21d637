// How long a device may take for a batch before it counts as lost.
#pragma once

#include <cstdint>

#include "lockstep/driver.h"

namespace gpu {

constexpr std::uint64_t forever = ~std::uint64_t{0};

struct TimeLimit {
  const char* option;  // that sets it
  std::uint64_t ns = forever;

  /// Reads the option, a number of seconds; without it, there is no limit. Throws Failure of LKS_INVALID_ARGUMENT.
  static TimeLimit from(const lks_host_api& host, const char* option);

  /// What is reported when a batch of `commands` commands takes longer.
  lks_diag exceeded(unsigned commands) const;
};

}  // namespace gpu
