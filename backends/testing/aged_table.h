// A driver's table and diags as an older or a newer driver.h would have them.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "api/internal/abi_1_0.h"
#include "backends/common/diag.h"
#include "conformance/runtime/page_edge.h"
#include "lockstep/driver.h"

/// The table of ABI 1.0. It ends at the end of a page, and the next page cannot be accessed: a host that reads a slot
/// that this driver does not have crashes.
inline const lks_driver_api& older_table(const lks_driver_api& present) {
  static const lks_driver_api* const table = [&] {
    lks_driver_api older = present;
    older.hdr.size = lockstep::driver_api_1_0;
    older.abi_minor = 0;
    older.name = "older";
    // Never unmapped: the host may read the table until the process ends.
    static const auto& edge = *new lockstep::conformance::PageEdge(&older, lockstep::driver_api_1_0);
    return edge.as<const lks_driver_api>();
  }();
  return *table;
}

/// A diag without the fields that were added after ABI 1.0.
inline lks_diag older_diag() {
  lks_diag diag = common::empty_diag();
  diag.hdr.size = lockstep::diag_1_0;
  return diag;
}

/// A table with slots that this driver.h does not know.
inline const lks_driver_api& newer_table(const lks_driver_api& present) {
  static const struct Grown {
    lks_driver_api api;
    void (*later[8])();
  } table = [&] {
    Grown grown{present, {}};
    grown.api.hdr.size = sizeof grown;
    grown.api.abi_minor = LKS_ABI_MINOR + 1;
    grown.api.name = "newer";
    for (auto& slot : grown.later) slot = [] { std::abort(); };
    return grown;
  }();
  return table.api;
}
