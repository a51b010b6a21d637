// Drivers that cannot be used. The macro BROKEN selects which defect is built.
#include <cstdint>
#include <cstdio>

#include "backends/testing/whole_table.h"
#include "lockstep/driver.h"

#define NO_SYMBOL 1
#define OTHER_MAJOR 2
#define SHORT_TABLE 3
#define EMPTY_SLOT 4
#define FAILED_PROBE 5
#define NO_DEVICE 6
#define REFUSING_ENTRY 7
#define OTHER_SANITIZER 8
#define LYING_CAPABILITY 9
#define ENTRY_IS_DATA 10
#define NO_TABLE 11
#define NO_NAME 12
#define SILENT_REFUSAL 13
#define UNKNOWN_SANITIZER 14
#define UNDESCRIBED 15
#define EMPTY_GROUP 16
#define SMALL_ALIGNMENT 17
#define ODD_ALIGNMENT 18

#if BROKEN == ENTRY_IS_DATA
// Data under the entry symbol's name, which should be a function.
extern "C" LKS_EXPORT const int entry_data[] __asm__(LKS_ENTRY_SYMBOL);
extern "C" const int entry_data[] = {1, 2, 3};
#elif BROKEN != NO_SYMBOL
namespace {

lks_status LKS_CALL driver_open(const lks_host_api*, lks_driver** out, lks_diag* diag) {
  *out = reinterpret_cast<lks_driver*>(out);
  if (BROKEN != FAILED_PROBE) return LKS_OK;
  std::snprintf(diag->what, sizeof diag->what, "no quantum driver: libquantum.so.1 not found");
  std::snprintf(diag->hint, sizeof diag->hint, "install the quantum runtime");
  return LKS_UNAVAILABLE;
}
void LKS_CALL driver_close(lks_driver*) {}
std::uint32_t LKS_CALL device_count(lks_driver*) { return BROKEN == NO_DEVICE ? 0 : 1; }
lks_status LKS_CALL device_describe(lks_driver*, std::uint32_t, lks_device_info* info, lks_diag* diag) {
  if (BROKEN == LYING_CAPABILITY || BROKEN == EMPTY_GROUP) info->capabilities = LKS_CAP_GRAPH;
  info->min_alignment = BROKEN == SMALL_ALIGNMENT ? 8 : BROKEN == ODD_ALIGNMENT ? 24 : 16;
  if (BROKEN != UNDESCRIBED) return LKS_OK;
  std::snprintf(diag->what, sizeof diag->what, "it does not answer");
  return LKS_INTERNAL;
}
// A group of the size of lks_graph_group, whose second entry is null.
struct HalfGroup {
  lks_header hdr;
  const void* entries[3];
};
const HalfGroup half_group = {{sizeof(HalfGroup), 0, nullptr}, {&half_group, nullptr, &half_group}};
const void* LKS_CALL get_group(lks_driver*, std::uint64_t) { return BROKEN == EMPTY_GROUP ? &half_group : nullptr; }

}  // namespace

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api*, const lks_driver_api** out,
                                                              lks_diag* diag) {
  if (BROKEN == REFUSING_ENTRY) {
    std::snprintf(diag->what, sizeof diag->what, "this driver needs a newer runtime");
    return LKS_ABI_MISMATCH;
  }
  if (BROKEN == SILENT_REFUSAL) return LKS_UNAVAILABLE;
  if (BROKEN == NO_TABLE) return LKS_OK;
  static lks_driver_api table;
  table = whole_table();
  if (BROKEN == SHORT_TABLE) table.hdr.size = 64;
  if (BROKEN == OTHER_MAJOR) ++table.abi_major;
  table.name = BROKEN == NO_NAME ? "" : "broken";
  if (BROKEN == OTHER_SANITIZER) table.sanitizer = LKS_SANITIZER_MEMORY;
  if (BROKEN == UNKNOWN_SANITIZER) table.sanitizer = 99;
  table.driver_open = &driver_open;
  table.driver_close = &driver_close;
  table.device_count = &device_count;
  table.device_describe = &device_describe;
  table.get_group = &get_group;
  if (BROKEN == EMPTY_SLOT) table.queue_fill = nullptr;
  *out = &table;
  return LKS_OK;
}
#endif
