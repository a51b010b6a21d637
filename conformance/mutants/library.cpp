// The library of every mutant on one correct driver: CMake copies it to a file for each line of mutants.def. The name
// of the file says which mutant it is. All other code is shared.
#include <dlfcn.h>

#include "lockstep/driver.h"

extern "C" lks_status LKS_CALL lockstep_mutant_entry(const char* file, const lks_host_api* host,
                                                     const lks_driver_api** out, lks_diag* diag);

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  Dl_info self = {};
  dladdr(reinterpret_cast<const void*>(&lks_driver_entry_v1), &self);
  return lockstep_mutant_entry(self.dli_fname, host, out, diag);
}
