#include "conformance/mutants/known_queues.h"

#include <mutex>

#include "backends/common/diag.h"
#include "backends/host/kernel.h"

namespace mutants {
namespace {

std::mutex mutex;
std::map<lks_queue*, lks_timeline*> timelines;
QueueEvent when_made = nullptr, when_ending = nullptr;

}  // namespace

void remember_queues(lks_driver_api& t, QueueEvent made, QueueEvent ends) {
  when_made = made;
  when_ending = ends;
  t.queue_create = [](lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_create(device, kind, out, timeline, diag);
    if (status != LKS_OK) return status;
    {
      std::lock_guard lock(mutex);
      timelines[*out] = *timeline;
    }
    if (when_made) when_made(*out, *timeline);
    return status;
  };
  t.queue_destroy = [](lks_queue* queue) {
    if (when_ending) when_ending(queue, timeline_of(queue));
    {
      std::lock_guard lock(mutex);
      timelines.erase(queue);
    }
    correct().queue_destroy(queue);
  };
}

lks_timeline* timeline_of(lks_queue* queue) {
  std::lock_guard lock(mutex);
  return timelines[queue];
}

std::map<lks_queue*, lks_timeline*> all_queues() {
  std::lock_guard lock(mutex);
  return timelines;
}

lks_status enqueue_nothing(lks_queue* queue, std::uint64_t* value, lks_diag* diag) {
  static lks_buffer nothing{nullptr, 0};
  return correct().queue_fill(queue, &nothing, 0, 0, 0, 1, value, diag);
}

lks_status wait_for_newest(lks_queue* queue, lks_timeline* timeline, std::uint64_t timeout_ns) {
  lks_diag ignored = common::empty_diag();
  std::uint64_t newest = 0;
  const lks_status status = enqueue_nothing(queue, &newest, &ignored);
  return status == LKS_OK ? timeline->wait(newest, timeout_ns, &ignored) : status;
}

}  // namespace mutants
