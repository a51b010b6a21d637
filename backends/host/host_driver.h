// The part of a driver for host memory that does not depend on its kernels: the driver supplies a name and a kernel
// table.
#pragma once

#include <span>

#include "backends/host/kernel.h"

namespace host {

struct DriverTraits {
  const char* name;  // device prefix
  const char* version;
  std::int32_t priority;
  std::uint32_t flags;  // LKS_DRIVER_*
  std::span<const common::KernelRow> (*kernels)();
  /// Fills in the device's name, version and math modes; heaps and capabilities are already set.
  void (*describe)(const lks_host_api& host, lks_device_info& info);
  /// Returns LKS_OK, or an error that says why the driver cannot be used on this machine or with these settings. May be
  /// nullptr.
  lks_status (*probe)(const lks_host_api& host, lks_diag* diag);
};

/// Returns the driver table for these traits, which must have static storage duration. One driver per library.
const lks_driver_api& driver_table(const DriverTraits& traits);

/// Implements the entry symbol: checks the host's ABI version and returns the table.
lks_status enter(const DriverTraits& traits, const lks_host_api* host, const lks_driver_api** out, lks_diag* diag);

}  // namespace host
