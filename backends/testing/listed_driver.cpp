// A driver that only lists one device. The properties of the device come from the library's file name,
// liblockstep_driver_listed.NAME.PRIORITY.TYPE.UUID.STATE.so, such as liblockstep_driver_listed.twin.2.gpu.7.usable.so.
// Tests of the registry copy it to the names that they need.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "backends/testing/whole_table.h"
#include "lockstep/driver.h"

namespace {

// The parts of the file name, from NAME on.
char words[5][64];

int own_address;

bool read_words() {
  Dl_info info{};
  if (dladdr(&own_address, &info) == 0 || !info.dli_fname) return false;
  const char* at = std::strstr(info.dli_fname, "liblockstep_driver_listed.");
  if (!at) return false;
  at += std::strlen("liblockstep_driver_listed.");
  return std::sscanf(at, "%63[^.].%63[^.].%63[^.].%63[^.].%63[^.].so", words[0], words[1], words[2], words[3],
                     words[4]) == 5;
}

bool is(int word, const char* text) { return std::strcmp(words[word], text) == 0; }

lks_status LKS_CALL driver_open(const lks_host_api*, lks_driver** out, lks_diag*) {
  *out = reinterpret_cast<lks_driver*>(words);
  return LKS_OK;
}
void LKS_CALL driver_close(lks_driver*) {}
std::uint32_t LKS_CALL device_count(lks_driver*) { return is(4, "missing") ? 0 : 1; }

lks_status LKS_CALL device_describe(lks_driver*, std::uint32_t, lks_device_info* info, lks_diag*) {
  info->status = is(4, "usable") ? LKS_OK : LKS_UNAVAILABLE;
  info->type = is(2, "gpu")          ? LKS_DEVICE_GPU
               : is(2, "integrated") ? LKS_DEVICE_INTEGRATED_GPU
               : is(2, "cpu")        ? LKS_DEVICE_CPU
                                     : LKS_DEVICE_ACCELERATOR;
  info->math_modes = 1u << LKS_MODE_STRICT | 1u << LKS_MODE_LOCKSTEP;
  info->compute_units = 12;
  info->heap_count = 1;
  info->heaps[0].bytes = 1000;
  info->min_alignment = 16;
  info->max_allocation = 800;
  info->max_tensor_bytes = is(4, "usable") ? 0 : 700;
  info->uuid[0] = static_cast<std::uint8_t>(std::atoi(words[3]));
  std::snprintf(info->name, sizeof info->name, "a listed device");
  std::snprintf(info->vendor, sizeof info->vendor, "nobody");
  std::snprintf(info->version, sizeof info->version, "0.1");
  if (info->status != LKS_OK) std::snprintf(info->reason, sizeof info->reason, "it is switched off");
  return LKS_OK;
}

const void* LKS_CALL get_group(lks_driver*, std::uint64_t) { return nullptr; }

lks_status LKS_CALL device_memory(lks_driver*, std::uint32_t, lks_device*, std::uint32_t heap, std::uint64_t* total,
                                  std::uint64_t* free_bytes, lks_diag*) {
  if (heap != 0) return LKS_INVALID_ARGUMENT;
  *total = 2000;
  *free_bytes = 500;
  return is(4, "usable") ? LKS_OK : LKS_UNAVAILABLE;
}

lks_status LKS_CALL device_open(lks_driver*, std::uint32_t, lks_device**, lks_diag* diag) {
  std::snprintf(diag->what, sizeof diag->what, "it is only listed");
  return LKS_INTERNAL;
}

}  // namespace

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api*, const lks_driver_api** out,
                                                              lks_diag* diag) {
  static lks_driver_api table;
  if (!read_words()) {
    std::snprintf(diag->what, sizeof diag->what, "its file has another name than listed_driver.cpp asks for");
    return LKS_INVALID_ARGUMENT;
  }
  table = whole_table();
  table.name = words[0];
  table.version = "9.8";
  table.priority = std::atoi(words[1]);
  table.driver_open = &driver_open;
  table.driver_close = &driver_close;
  table.device_count = &device_count;
  table.device_describe = &device_describe;
  table.get_group = &get_group;
  table.device_memory = &device_memory;
  table.device_open = &device_open;
  *out = &table;
  return LKS_OK;
}
