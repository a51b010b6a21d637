// The kinds of queues that our drivers know.
#pragma once

#include "backends/common/diag.h"

namespace common {

/// Refuses a kind of a newer host.
inline lks_status check_queue_kind(std::uint32_t kind, lks_diag* diag) {
  if (kind <= LKS_QUEUE_TRANSFER) return LKS_OK;
  return refuse(diag, LKS_REASON_EXTENSION, -1, DRIVER_WHERE, "there is no queue of kind %u", kind);
}

}  // namespace common
