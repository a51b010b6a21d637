// Whether a device still works. A device that is lost stays lost until the program ends.
#pragma once

#include <atomic>

#include "api/internal/mutex.h"
#include "backends/common/diag.h"

namespace gpu {

/// Free-threaded.
class DeviceHealth {
 public:
  /// The first cause is kept. Its code becomes LKS_DEVICE_LOST.
  void note_lost(const lks_diag& cause);
  bool is_lost() const { return is_lost_; }
  /// LKS_OK, or LKS_DEVICE_LOST.
  lks_status status(lks_diag* diag);
  /// Throws Failure of LKS_DEVICE_LOST if the device is lost.
  void check() {
    if (is_lost_) raise();
  }

 private:
  [[noreturn]] void raise();

  std::atomic<bool> is_lost_{false};
  lockstep::Mutex mutex_;
  lks_diag cause_ LOCKSTEP_GUARDED_BY(mutex_){};
};

}  // namespace gpu
