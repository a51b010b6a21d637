// The queues that exist, for faults that concern the timeline of a queue or all queues.
#pragma once

#include <map>

#include "backends/common/timeline.h"
#include "conformance/mutants/mutant.h"

namespace mutants {

/// For waits of drivers that wait too long: longer than the suite holds a queue back.
inline constexpr std::uint64_t too_long = 40'000'000'000;

/// Called when a queue was made, and before it is destroyed.
using QueueEvent = void (*)(lks_queue* queue, lks_timeline* timeline);

/// Replaces queue_create and queue_destroy in the table, so that the functions below know the queues.
void remember_queues(lks_driver_api& t, QueueEvent made = nullptr, QueueEvent ends = nullptr);

lks_timeline* timeline_of(lks_queue* queue);
std::map<lks_queue*, lks_timeline*> all_queues();

/// Enqueues an empty fill, for which nothing waits: it gives the newest value.
lks_status enqueue_nothing(lks_queue* queue, std::uint64_t* value, lks_diag* diag);
/// Waits until what the queue has got so far is done.
lks_status wait_for_newest(lks_queue* queue, lks_timeline* timeline, std::uint64_t timeout_ns);

}  // namespace mutants
