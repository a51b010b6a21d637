#include <cstdio>

#include "backends/host/host_driver.h"
#include "backends/reference/kernels/kernels.h"

namespace {

void describe(const lks_host_api&, lks_device_info& info) {
  std::snprintf(info.name, sizeof info.name, "reference (scalar C++, for comparison)");
  std::snprintf(info.vendor, sizeof info.vendor, "Lockstep");
  // `fast` permits less precision but does not require it.
  info.math_modes = 1u << LKS_MODE_STRICT | 1u << LKS_MODE_FAST | 1u << LKS_MODE_LOCKSTEP;
  info.compute_units = 1;
}

constexpr host::DriverTraits driver_traits = {
    .identity = {.name = "reference", .version = "1.0", .flags = LKS_DRIVER_UNLOADABLE, .priority = -100},
    .kernels = &reference::kernels,
    .describe = &describe,
    .probe = nullptr,
};

}  // namespace

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  return host::enter(driver_traits, host, out, diag);
}
