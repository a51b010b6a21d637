// A driver's table of the ABI's functions, and the entry symbol that hands it to the host.
#pragma once

#include "api/internal/sanitizer.h"
#include "lockstep/driver.h"

namespace common {

/// What a driver's table says about the driver.
struct DriverIdentity {
  const char* name;  // prefix of device names
  const char* version;
  std::uint32_t flags;  // LKS_DRIVER_*
  std::int32_t priority;
};

/// The initialiser of a lks_driver_api. Each slot gets the function in scope that has the slot's name. `identity` is a
/// DriverIdentity.
#define DRIVER_TABLE(identity)                                                                                         \
  {                                                                                                                    \
    .hdr = {sizeof(lks_driver_api), 0, nullptr}, .abi_major = LKS_ABI_MAJOR, .abi_minor = LKS_ABI_MINOR,               \
    .name = (identity).name, .vendor = "Lockstep", .version = (identity).version, .build_id = "C++ " __VERSION__,      \
    .flags = (identity).flags, .sanitizer = ::lockstep::own_sanitizer, .priority = (identity).priority, .reserved = 0, \
    .driver_open = &driver_open, .driver_close = &driver_close, .device_count = &device_count,                         \
    .device_describe = &device_describe, .get_group = &get_group, .device_open = &device_open,                         \
    .device_close = &device_close, .device_memory = &device_memory, .device_health = &device_health,                   \
    .buffer_alloc = &buffer_alloc, .buffer_free = &buffer_free, .buffer_map = &buffer_map,                             \
    .buffer_unmap = &buffer_unmap, .queue_create = &queue_create, .queue_destroy = &queue_destroy,                     \
    .queue_launch = &queue_launch, .queue_copy = &queue_copy, .queue_write = &queue_write, .queue_read = &queue_read,  \
    .queue_fill = &queue_fill, .queue_wait = &queue_wait, .queue_flush = &queue_flush,                                 \
    .queue_recover = &queue_recover, .timeline_create = &timeline_create, .timeline_destroy = &timeline_destroy,       \
    .timeline_query = &timeline_query, .timeline_wait = &timeline_wait, .timeline_signal = &timeline_signal,           \
    .kernel_query = &kernel_query, .kernel_prepare = &kernel_prepare, .kernel_release = &kernel_release,               \
    .kernel_variant = &kernel_variant,                                                                                 \
  }

/// Implements the entry symbol. Returns the table, or LKS_ABI_MISMATCH if the host has another major version or lacks
/// an entry of ABI 1.0. A driver that needs a newer entry also asks LKS_HAS_FIELD for it. Not inline, for the same
/// reason as the functions of diag.h.
lks_status enter(const lks_driver_api& table, const lks_host_api* host, const lks_driver_api** out, lks_diag* diag);

}  // namespace common
