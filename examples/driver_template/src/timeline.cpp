// Timelines tell the host which commands are done. Any thread may query, wait or signal, so each timeline has its own
// lock.
#include <chrono>
#include <new>

#include "objects.h"
#include "table.h"

lks_status lks_timeline::wait(std::uint64_t value, std::uint64_t timeout_ns, lks_diag* diag) {
  std::unique_lock lock(mutex);
  const auto finished = [&] { return reached >= value || failed; };
  // Beyond 2^61 ns (73 years) the wait has no timeout, because adding so large a timeout to the clock could overflow.
  if (timeout_ns > std::uint64_t{1} << 61) {
    changed.wait(lock, finished);
  } else if (!changed.wait_for(lock, std::chrono::nanoseconds(timeout_ns), finished)) {
    return fail(diag, LKS_TIMEOUT, "the timeline is at %llu, %llu was waited for",
                static_cast<unsigned long long>(reached), static_cast<unsigned long long>(value));
  }
  return reached >= value ? LKS_OK : tell(failure, diag);
}

void lks_timeline::reach(std::uint64_t value) {
  {
    std::lock_guard lock(mutex);
    reached = value;
  }
  changed.notify_all();
}

void lks_timeline::fail_at(std::uint64_t value, const lks_diag& why) {
  {
    std::lock_guard lock(mutex);
    failed = true;
    failure = why;
    failure.value = value;
  }
  changed.notify_all();
}

void lks_timeline::recover(std::uint64_t newest) {
  {
    std::lock_guard lock(mutex);
    failed = false;
    reached = newest;
  }
  changed.notify_all();
}

bool lks_timeline::has_failed() {
  std::lock_guard lock(mutex);
  return failed;
}

lks_status LKS_CALL timeline_create(lks_device* device, lks_timeline** out, lks_diag* diag) {
  *out = new (std::nothrow) lks_timeline(device->driver.host);
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, "no host memory for a timeline");
}

void LKS_CALL timeline_destroy(lks_timeline* timeline) { delete timeline; }

lks_status LKS_CALL timeline_query(lks_timeline* timeline, uint64_t* reached, lks_diag* diag) {
  std::lock_guard lock(timeline->mutex);
  *reached = timeline->reached;
  return timeline->failed ? tell(timeline->failure, diag) : LKS_OK;
}

// The fault point stands for the native wait of a real driver. If the wait itself fails, diag.value stays 0, as it
// came from the host, and the timeline does not change: the host may wait again. If your driver waits for its commands
// on a thread of its own, that thread keeps such a failure for one caller of timeline_wait and waits again ("Failed
// waits" in driver.h).
lks_status LKS_CALL timeline_wait(lks_timeline* timeline, uint64_t value, uint64_t timeout_ns, lks_diag* diag) {
  FAULT_POINT(timeline->host, LKS_FAULT_WAIT, "template.timeline_wait");
  return timeline->wait(value, timeout_ns, diag);
}

lks_status LKS_CALL timeline_signal(lks_timeline* timeline, uint64_t value, const lks_diag* failure, lks_diag* diag) {
  if (timeline->of_queue) return fail(diag, LKS_INVALID_ARGUMENT, "this timeline belongs to a queue");
  {
    std::lock_guard lock(timeline->mutex);
    if (timeline->failed || value <= timeline->reached) {
      return fail(diag, LKS_INVALID_ARGUMENT, "the timeline is at %llu%s, it cannot go to %llu",
                  static_cast<unsigned long long>(timeline->reached), timeline->failed ? " and failed" : "",
                  static_cast<unsigned long long>(value));
    }
    if (failure) {
      timeline->failed = true;
      timeline->failure = own_copy(*failure);
      timeline->failure.value = value;
    } else {
      timeline->reached = value;
    }
  }
  timeline->changed.notify_all();
  return LKS_OK;
}
