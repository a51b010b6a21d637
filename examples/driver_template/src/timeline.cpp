// Timelines: how the host knows what is done.
#include <chrono>
#include <new>

#include "objects.h"
#include "table.h"

std::uint64_t lks_queue::completed() {
  std::uint64_t value = 0;
  {
    std::lock_guard lock(timeline.mutex);
    value = ++timeline.reached;
  }
  timeline.changed.notify_all();
  return value;
}

namespace {

// The failure as it came, but for the caller's own header.
lks_status tell(const lks_diag& failure, lks_diag* diag) {
  const lks_header header = diag->hdr;
  *diag = failure;
  diag->hdr = header;
  return failure.code;
}

}  // namespace

lks_status LKS_CALL timeline_create(lks_device*, lks_timeline** out, lks_diag* diag) {
  *out = new (std::nothrow) lks_timeline;
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, "no host memory for a timeline");
}

void LKS_CALL timeline_destroy(lks_timeline* timeline) { delete timeline; }

lks_status LKS_CALL timeline_query(lks_timeline* timeline, uint64_t* reached, lks_diag* diag) {
  std::lock_guard lock(timeline->mutex);
  *reached = timeline->reached;
  if (!timeline->failed) return LKS_OK;
  return tell(timeline->failure, diag);
}

lks_status LKS_CALL timeline_wait(lks_timeline* timeline, uint64_t value, uint64_t timeout_ns, lks_diag* diag) {
  std::unique_lock lock(timeline->mutex);
  const auto settled = [&] { return timeline->reached >= value || timeline->failed; };
  // More than a century is for ever: beyond that the clock would overflow.
  if (timeout_ns > std::uint64_t{1} << 61) {
    timeline->changed.wait(lock, settled);
  } else if (!timeline->changed.wait_for(lock, std::chrono::nanoseconds(timeout_ns), settled)) {
    return fail(diag, LKS_TIMEOUT, "the timeline is at %llu, %llu was waited for",
                static_cast<unsigned long long>(timeline->reached), static_cast<unsigned long long>(value));
  }
  if (timeline->reached >= value) return LKS_OK;
  return tell(timeline->failure, diag);
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
      timeline->failure = *failure;
      timeline->failure.value = value;
    } else {
      timeline->reached = value;
    }
  }
  timeline->changed.notify_all();
  return LKS_OK;
}
