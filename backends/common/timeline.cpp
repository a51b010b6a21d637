#include "backends/common/timeline.h"

#include <chrono>

#include "backends/common/diag.h"

using common::fail;

namespace {

// Longer than any process runs (36 years), and short enough that adding it to a time point does not overflow.
constexpr std::uint64_t longest_ns = std::uint64_t{1} << 60;

}  // namespace

lks_status lks_timeline::query(std::uint64_t* reached, lks_diag* diag) {
  if (of_inline_queue) {
    *reached = ~std::uint64_t{0};
    return LKS_OK;
  }
  lockstep::LockGuard lock(mutex_);
  *reached = reached_;
  return failed_ ? common::return_stored(failure_, diag) : lks_status{LKS_OK};
}

lks_status lks_timeline::wait(std::uint64_t value, std::uint64_t timeout_ns, lks_diag* diag) {
  if (of_inline_queue) return LKS_OK;
  lockstep::LockGuard lock(mutex_);
  const auto finished = [&]() LOCKSTEP_REQUIRES(mutex_) { return reached_ >= value || failed_ || a_wait_failed_; };
  if (timeout_ns >= longest_ns) {
    changed_.wait(mutex_, finished);
  } else if (!changed_.wait_for(mutex_, std::chrono::nanoseconds(timeout_ns), finished)) {
    return ::fail(diag, LKS_TIMEOUT, DRIVER_WHERE, "the timeline is at %llu and did not reach %llu in time",
                  static_cast<unsigned long long>(reached_), static_cast<unsigned long long>(value));
  }
  if (a_wait_failed_) {
    a_wait_failed_ = false;
    return common::return_stored(wait_failure_, diag);
  }
  return reached_ >= value ? lks_status{LKS_OK} : common::return_stored(failure_, diag);
}

lks_status lks_timeline::signal(std::uint64_t value, const lks_diag* failure, lks_diag* diag) {
  {
    lockstep::LockGuard lock(mutex_);
    if (of_inline_queue || of_queue) {
      return ::fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "this timeline belongs to a queue");
    }
    if (failed_ || value <= reached_) {
      return ::fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "the timeline is at %llu%s and cannot go to %llu",
                    static_cast<unsigned long long>(reached_), failed_ ? ", failed," : "",
                    static_cast<unsigned long long>(value));
    }
    if (failure) {
      failed_ = true;
      failure_ = common::own_copy(*failure);
      failure_.value = value;
    } else {
      reached_ = value;
    }
  }
  changed_.notify_all();
  return LKS_OK;
}

void lks_timeline::reach(std::uint64_t value) {
  {
    lockstep::LockGuard lock(mutex_);
    reached_ = value;
  }
  changed_.notify_all();
}

void lks_timeline::fail(const lks_diag& diag, std::uint64_t value) {
  {
    lockstep::LockGuard lock(mutex_);
    failed_ = true;
    failure_ = diag;
    failure_.value = value;
  }
  changed_.notify_all();
}

void lks_timeline::fail_a_wait(const lks_diag& diag) {
  {
    lockstep::LockGuard lock(mutex_);
    a_wait_failed_ = true;
    wait_failure_ = diag;
    wait_failure_.value = 0;
  }
  changed_.notify_all();
}

bool lks_timeline::failed() {
  lockstep::LockGuard lock(mutex_);
  return failed_;
}

void lks_timeline::recover(std::uint64_t value) {
  {
    lockstep::LockGuard lock(mutex_);
    failed_ = a_wait_failed_ = false;
    reached_ = value;
  }
  changed_.notify_all();
}
