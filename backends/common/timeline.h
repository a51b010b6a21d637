// A timeline in host memory: a counter that threads wait for, and that can fail.
#pragma once

#include "api/internal/mutex.h"
#include "lockstep/driver.h"

struct lks_timeline {
  bool of_inline_queue = false;  // commands are done when their call returns, so every value counts as reached
  bool of_queue = false;         // only the queue advances it
  lks_queue* queue = nullptr;    // owner, if the queue delays commands until someone waits for them; else nullptr
  lks_driver* driver = nullptr;  // set if a wait calls a fault point of the driver's host

  lks_status query(std::uint64_t* reached, lks_diag* diag);
  lks_status wait(std::uint64_t value, std::uint64_t timeout_ns, lks_diag* diag);
  /// Implements timeline_signal for a timeline that the host owns. The value must grow, and the timeline must not have
  /// failed.
  lks_status signal(std::uint64_t value, const lks_diag* failure, lks_diag* diag);

  // Called by the queue that owns the timeline.
  void reach(std::uint64_t value);
  void fail(const lks_diag& diag, std::uint64_t value);
  bool failed();
  /// Reports that waiting for the device failed; the state of the commands is unknown. Exactly one wait for this
  /// timeline, current or future, returns the failure. Waiting again is allowed.
  void fail_a_wait(const lks_diag& diag);
  /// Clears failures and continues from `value`.
  void recover(std::uint64_t value);

 private:
  lockstep::Mutex mutex_;
  lockstep::ConditionVariable changed_;
  std::uint64_t reached_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  bool failed_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  bool a_wait_failed_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  // In the size that this driver knows.
  lks_diag failure_ LOCKSTEP_GUARDED_BY(mutex_){};
  lks_diag wait_failure_ LOCKSTEP_GUARDED_BY(mutex_){};
};
