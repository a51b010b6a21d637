#include "backends/gpu/device_health.h"

#include "backends/gpu/failure.h"

namespace gpu {

void DeviceHealth::note_lost(const lks_diag& cause) {
  const lockstep::LockGuard lock(mutex_);
  if (is_lost_) return;
  cause_ = cause;
  cause_.code = LKS_DEVICE_LOST;  // whatever the first error was
  if (!cause_.hint[0]) {
    std::snprintf(cause_.hint, sizeof cause_.hint, "restart the program; if it happens again, update the GPU's driver");
  }
  is_lost_ = true;
}

lks_status DeviceHealth::status(lks_diag* diag) {
  if (!is_lost_) return LKS_OK;
  const lockstep::LockGuard lock(mutex_);
  return common::return_stored(cause_, diag);
}

void DeviceHealth::raise() {
  lks_diag lost = common::empty_diag();
  status(&lost);
  throw Failure(lost);
}

}  // namespace gpu
