// The driver and its devices. This driver has one device, which is always present.
#include <algorithm>
#include <cstring>
#include <new>

#include "objects.h"
#include "table.h"

lks_status LKS_CALL driver_open(const lks_host_api* host, lks_driver** out, lks_diag* diag) {
  // Open the vendor's library here, by name (dlopen). If it is missing, say so:
  //   return fail(diag, LKS_UNAVAILABLE, "no accelerator driver: libvendor.so.1 not found");
  // `lockstep devices --why` prints that text.
  *out = new (std::nothrow) lks_driver{*host};
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, "no host memory for the driver");
}

void LKS_CALL driver_close(lks_driver* driver) { delete driver; }

uint32_t LKS_CALL device_count(lks_driver*) { return 1; }

lks_status LKS_CALL device_describe(lks_driver*, uint32_t ordinal, lks_device_info* info, lks_diag* diag) {
  if (ordinal != 0) return fail(diag, LKS_INVALID_ARGUMENT, "there is no device %u", ordinal);
  lks_device_info full;
  std::memset(&full, 0, sizeof full);
  full.status = LKS_OK;
  full.type = LKS_DEVICE_ACCELERATOR;
  full.capabilities = 0;  // each bit that is set is a promise; driver.h lists them
  full.math_modes = offered_modes;
  full.max_rank = LKS_MAX_RANK;
  full.compute_units = 1;
  full.heap_count = 1;
  full.heaps[0] = {device_bytes, LKS_HEAP_DEVICE_LOCAL | LKS_HEAP_HOST_VISIBLE | LKS_HEAP_HOST_CACHED, 0};
  full.min_alignment = buffer_alignment;
  full.max_allocation = device_bytes;
  std::snprintf(full.name, sizeof full.name, "driver template (plain C++)");
  std::snprintf(full.vendor, sizeof full.vendor, "your company");
  // An older host has a shorter struct, a newer host a longer one. Fill the part that both know.
  const lks_header header = info->hdr;
  full.hdr = header;
  std::memcpy(info, &full, std::min<std::size_t>(header.size, sizeof full));
  return LKS_OK;
}

const void* LKS_CALL get_group(lks_driver*, uint64_t) { return nullptr; }

lks_status LKS_CALL device_open(lks_driver* driver, uint32_t ordinal, lks_device** out, lks_diag* diag) {
  if (ordinal != 0) return fail(diag, LKS_INVALID_ARGUMENT, "there is no device %u", ordinal);
  // Create your device context here.
  *out = new (std::nothrow) lks_device{*driver};
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, "no host memory for the device");
}

void LKS_CALL device_close(lks_device* device) { delete device; }

lks_status LKS_CALL device_memory(lks_driver*, uint32_t ordinal, lks_device* device, uint32_t heap, uint64_t* total,
                                  uint64_t* free_bytes, lks_diag* diag) {
  if (ordinal != 0 || heap != 0)
    return fail(diag, LKS_INVALID_ARGUMENT, "there is no heap %u of device %u", heap, ordinal);
  if (!device) return fail(diag, LKS_UNAVAILABLE, "the free memory is known once the device is open");
  *total = device_bytes;
  *free_bytes = device_bytes - device->used_bytes;
  return LKS_OK;
}

// Query the hardware here. Once a device is lost, every later call except device_close returns LKS_DEVICE_LOST.
lks_status LKS_CALL device_health(lks_device*, lks_diag*) { return LKS_OK; }
