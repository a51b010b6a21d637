// The part of a driver for host memory that does not depend on its kernels: the driver supplies a name and a kernel
// table.
#pragma once

#include <span>

#include "backends/common/driver_table.h"
#include "backends/host/kernel.h"

namespace host {

struct DriverTraits {
  common::DriverIdentity identity;
  std::span<const common::KernelRow> (*kernels)();
  /// Fills in the device's name, version and math modes; heaps and capabilities are already set.
  void (*describe)(const lks_host_api& host, lks_device_info& info);
  /// Returns LKS_OK, or an error that says why the driver cannot be used on this machine or with these settings. May be
  /// nullptr.
  lks_status (*probe)(const lks_host_api& host, lks_diag* diag);
};

/// Implements the entry symbol: checks the host's ABI version and returns the table. The traits must have static
/// storage duration. One driver per library.
lks_status enter(const DriverTraits& traits, const lks_host_api* host, const lks_driver_api** out, lks_diag* diag);

}  // namespace host
