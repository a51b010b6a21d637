// The library of one mutant. Built once for each mutant, with its number in mutants.def. All other code is shared.
#include "lockstep/driver.h"

extern "C" lks_status LKS_CALL lockstep_mutant_entry(int number, const lks_host_api* host, const lks_driver_api** out,
                                                     lks_diag* diag);

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  return lockstep_mutant_entry(MUTANT_NUMBER, host, out, diag);
}
