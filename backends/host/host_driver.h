// A driver for host memory: give it a name and kernels.
#pragma once

#include <span>

#include "backends/host/kernel.h"

namespace host {

struct DriverTraits {
  const char* name;  // device prefix
  const char* version;
  std::int32_t priority;
  std::uint32_t flags;  // LKS_DRIVER_*
  std::span<const KernelRow> (*kernels)();
  /// Fills in the device's name, version and modes; heaps and capabilities are set already.
  void (*describe)(const lks_host_api& host, lks_device_info& info);
  /// LKS_OK, or why this machine or these settings cannot use the driver. May be nullptr.
  lks_status (*probe)(const lks_host_api& host, lks_diag* diag);
};

/// The table for these traits, which must be of static duration. One driver per library.
const lks_driver_api& driver_table(const DriverTraits& traits);

/// What the entry symbol does: checks the host's version and returns the table.
lks_status enter(const DriverTraits& traits, const lks_host_api* host, const lks_driver_api** out, lks_diag* diag);

}  // namespace host
