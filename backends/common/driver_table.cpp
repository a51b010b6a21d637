#include "backends/common/driver_table.h"

#include "backends/common/diag.h"

namespace common {

lks_status enter(const lks_driver_api& table, const lks_host_api* host, const lks_driver_api** out, lks_diag* diag) {
  if (host->abi_major != LKS_ABI_MAJOR) {
    return fail(diag, LKS_ABI_MISMATCH, DRIVER_WHERE, "the runtime has ABI %u.%u, this driver needs %u.x",
                host->abi_major, host->abi_minor, LKS_ABI_MAJOR);
  }
  if (!LKS_HAS_FIELD(host, fault_point)) {
    return fail(diag, LKS_ABI_MISMATCH, DRIVER_WHERE, "the runtime's table of %u bytes lacks entries of ABI %u.0",
                host->hdr.size, LKS_ABI_MAJOR);
  }
  *out = &table;
  return LKS_OK;
}

}  // namespace common
