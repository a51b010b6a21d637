#include "backends/host/host_check.h"

#include "backends/host/diag.h"

namespace host {

lks_status check_host(const lks_host_api& host, lks_diag* diag) {
  if (host.abi_major != LKS_ABI_MAJOR) {
    return fail(diag, LKS_ABI_MISMATCH, HOST_WHERE, "the runtime has ABI %u.%u, this driver needs %u.x", host.abi_major,
                host.abi_minor, LKS_ABI_MAJOR);
  }
  if (!LKS_HAS_FIELD(&host, fault_point)) {
    return fail(diag, LKS_ABI_MISMATCH, HOST_WHERE, "the runtime's table of %u bytes lacks entries of ABI %u.0",
                host.hdr.size, LKS_ABI_MAJOR);
  }
  return LKS_OK;
}

}  // namespace host
