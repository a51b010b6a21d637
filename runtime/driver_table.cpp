#include "runtime/driver_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "api/internal/abi_1_0.h"
#include "lockstep/driver_provisional.h"

namespace lockstep {
namespace {

constexpr std::size_t first_slot = offsetof(lks_driver_api, driver_open);

// The slots of ABI 1.0. A driver may have fewer slots than this runtime, but has all of these. A slot that is added
// later is optional and does not belong here.
constexpr std::array slots_1_0 = {
    "driver_open",      "driver_close",   "device_count",  "device_describe", "get_group",     "device_open",
    "device_close",     "device_memory",  "device_health", "buffer_alloc",    "buffer_free",   "buffer_map",
    "buffer_unmap",     "queue_create",   "queue_destroy", "queue_launch",    "queue_copy",    "queue_write",
    "queue_read",       "queue_fill",     "queue_wait",    "queue_flush",     "queue_recover", "timeline_create",
    "timeline_destroy", "timeline_query", "timeline_wait", "timeline_signal", "kernel_query",  "kernel_prepare",
    "kernel_release",   "kernel_variant"};
static_assert(first_slot + slots_1_0.size() * sizeof(void*) == driver_api_1_0, "name every slot of ABI 1.0");

// All slots are pointers, so a table is read as an array of pointers.
bool is_empty_slot(const void* table, std::size_t at) {
  void* slot = nullptr;
  std::memcpy(static_cast<void*>(&slot), static_cast<const char*>(table) + at, sizeof slot);
  return !slot;
}

constexpr std::size_t first_import_export_group = offsetof(lks_import_export_group, buffer_import) + sizeof(void*);

// The bytes of each group's table in its first version, from LKS_CAP_GRAPH on. Provisional groups have no other.
constexpr std::array group_bytes = {sizeof(lks_graph_group),         sizeof(lks_peer_group),
                                    first_import_export_group,       sizeof(lks_timestamp_group),
                                    sizeof(lks_serialization_group), sizeof(lks_host_call_group),
                                    sizeof(lks_region_group),        sizeof(lks_collective_group)};
static_assert(LKS_CAP_GRAPH == 1 && LKS_CAP_COLLECTIVES == 1 << (group_bytes.size() - 1), "one size for each group");

}  // namespace

std::string copy_driver_table(const lks_driver_api& given, lks_driver_api& own, std::size_t own_bytes) {
  const std::size_t bytes = given.hdr.size;
  for (std::size_t i = 0; i < slots_1_0.size(); ++i) {
    const std::size_t at = first_slot + i * sizeof(void*);
    if (at + sizeof(void*) > bytes) {
      return std::string("its table lacks the entry ") + slots_1_0[i] + ": it has " + std::to_string(bytes) +
             " bytes, and that of ABI 1.0 has " + std::to_string(driver_api_1_0);
    }
    if (is_empty_slot(&given, at)) return std::string("its table lacks the entry ") + slots_1_0[i];
  }
  std::memset(static_cast<void*>(&own), 0, own_bytes);
  std::memcpy(static_cast<void*>(&own), &given, std::min(bytes, own_bytes));
  return "";
}

std::string missing_in_group(std::uint64_t capability, const void* group) {
  const std::string table = "its table for capability " + std::to_string(capability);
  const std::size_t required = group_bytes[static_cast<std::size_t>(std::countr_zero(capability))];
  const std::size_t bytes = static_cast<const lks_header*>(group)->size;
  if (bytes < required) {
    return table + " has " + std::to_string(bytes) + " bytes where " + std::to_string(required) + " are needed";
  }
  for (std::size_t at = sizeof(lks_header); at < required; at += sizeof(void*)) {
    if (is_empty_slot(group, at)) return table + " has an empty entry";
  }
  return "";
}

}  // namespace lockstep
