// A timeline in host memory: a counter that threads wait for, and that can fail.
#pragma once

#include <condition_variable>
#include <mutex>

#include "lockstep/driver.h"

struct lks_timeline {
  bool of_inline_queue = false;  // its work is done when the call returns: whatever is asked for has been reached
  bool of_queue = false;         // which alone advances it
  lks_queue* queue = nullptr;    // whose it is, where that holds back commands until somebody waits for them
  lks_driver* driver = nullptr;  // whose it is, where waits are announced to its host

  lks_status query(std::uint64_t* reached, lks_diag* diag);
  lks_status wait(std::uint64_t value, std::uint64_t timeout_ns, lks_diag* diag);
  /// What the host may do to a timeline of its own: never backwards, and not after a failure.
  lks_status signal(std::uint64_t value, const lks_diag* failure, lks_diag* diag);

  // For the queue that owns it.
  void reach(std::uint64_t value);
  void fail(const lks_diag& diag, std::uint64_t value);
  bool failed();
  /// The wait for the device failed, which says nothing of the commands: one wait for this timeline, the next or one
  /// that is under way, returns that failure, and waiting again is right.
  void fail_a_wait(const lks_diag& diag);
  /// Forgets failures and goes on from `value`.
  void recover(std::uint64_t value);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t reached_ = 0;
  bool failed_ = false, a_wait_failed_ = false;
  lks_diag failure_{}, wait_failure_{};
};
