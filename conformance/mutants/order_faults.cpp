// Faults in what waits hold back, in commands behind a failure, and in calls that block.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "backends/common/diag.h"
#include "backends/host/kernel.h"
#include "conformance/mutants/known_queues.h"

namespace mutants {
namespace {

std::mutex mutex;

// -------------------------------------------------------------------------------------------------------------- waits

struct Wait {
  lks_timeline* timeline;
  std::uint64_t value;
};
std::map<lks_queue*, Wait> waits;  // the newest wait of each queue

void forget_timeline(lks_timeline* timeline) {
  std::lock_guard lock(mutex);
  std::erase_if(waits, [&](const auto& wait) { return wait.second.timeline == timeline; });
}

void remember_waits(lks_driver_api& t) {
  remember_queues(t, nullptr, [](lks_queue* queue, lks_timeline* timeline) {
    forget_timeline(timeline);
    std::lock_guard lock(mutex);
    waits.erase(queue);
  });
  t.timeline_destroy = [](lks_timeline* timeline) {
    forget_timeline(timeline);
    correct().timeline_destroy(timeline);
  };
}

// Waits until the newest wait of the queue is fulfilled.
lks_status await_newest_wait(lks_queue* queue, std::uint64_t timeout_ns) {
  Wait wait{};
  {
    std::lock_guard lock(mutex);
    const auto known = waits.find(queue);
    if (known == waits.end()) return LKS_OK;
    wait = known->second;
  }
  lks_diag ignored = common::empty_diag();
  return wait.timeline->wait(wait.value, timeout_ns, &ignored);
}
bool is_held(lks_queue* queue) { return await_newest_wait(queue, 0) == LKS_TIMEOUT; }

lks_status note_and_wait(lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) {
  {
    std::lock_guard lock(mutex);
    waits[queue] = {timeline, value};
  }
  return correct().queue_wait(queue, timeline, value, diag);
}

// While a queue waits, the commands before the wait are not told to be done either.
void held_queue_tells_nothing(lks_driver_api& t) {
  remember_waits(t);
  t.queue_wait = &note_and_wait;
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    for (const auto& [queue, own] : all_queues()) {
      if (own != timeline || await_newest_wait(queue, timeout_ns) != LKS_TIMEOUT) continue;
      return common::fail(diag, LKS_TIMEOUT, DRIVER_WHERE, "the queue waits");
    }
    return correct().timeline_wait(timeline, value, timeout_ns, diag);
  };
}

// A queue has room for one wait: while it is held back, further waits are dropped.
void second_wait_dropped(lks_driver_api& t) {
  remember_waits(t);
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    return is_held(queue) ? lks_status{LKS_OK} : note_and_wait(queue, timeline, value, diag);
  };
}

// A timeline has room for one queue: while that waits, waits of other queues are dropped.
void one_queue_waits(lks_driver_api& t) {
  remember_waits(t);
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    std::map<lks_queue*, Wait> all;
    {
      std::lock_guard lock(mutex);
      all = waits;
    }
    for (const auto& [other, wait] : all) {
      if (other != queue && wait.timeline == timeline && is_held(other)) return LKS_OK;
    }
    return note_and_wait(queue, timeline, value, diag);
  };
}

// A queue that waits for a failed timeline fails, even if the value was reached before the failure.
void failed_timeline_fails_all_waits(lks_driver_api& t) {
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    return correct().queue_wait(queue, timeline, timeline->failed() ? ~std::uint64_t{0} : value, diag);
  };
}

// queue_recover waits for the timelines that the queue waits for, even if those waits are skipped.
void recover_awaits_skipped_waits(lks_driver_api& t) {
  remember_waits(t);
  t.queue_wait = &note_and_wait;
  t.queue_recover = [](lks_queue* queue, std::uint64_t* last, lks_diag* diag) -> lks_status {
    await_newest_wait(queue, too_long);
    return correct().queue_recover(queue, last, diag);
  };
}

// A wait is fulfilled only while the timeline stands at the value itself.
void queue_waits_for_exact_value(lks_driver_api& t) {
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    lks_diag ignored = common::empty_diag();
    std::uint64_t reached = 0;
    while (!timeline->of_inline_queue && timeline->query(&reached, &ignored) == LKS_OK && reached != value) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return correct().queue_wait(queue, timeline, value, diag);
  };
}

// Values are compared as signed numbers.
void signed_timeline_values(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const bool is_negative = static_cast<std::int64_t>(value) < 0;
    return correct().timeline_wait(timeline, is_negative ? 0 : value, timeout_ns, diag);
  };
}

// A failure that the host signals loses the number of its launch.
void signal_loses_launch(lks_driver_api& t) {
  t.timeline_signal = [](lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                         lks_diag* diag) -> lks_status {
    if (!failure) return correct().timeline_signal(timeline, value, failure, diag);
    lks_diag kept = common::own_copy(*failure);
    common::clear_launch(&kept);
    return correct().timeline_signal(timeline, value, &kept, diag);
  };
}

// ----------------------------------------------------------------------------------------------------- behind failures

char* at(lks_buffer* buffer, std::uint64_t offset) { return static_cast<char*>(buffer->data) + offset; }

// Commands of one kind run at once where the queue is known to have failed.
void failed_queue_still_reads(lks_driver_api& t) {
  remember_queues(t);
  t.queue_read = [](lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                    std::uint64_t* value, lks_diag* diag) -> lks_status {
    if (timeline_of(queue)->failed()) std::memcpy(dst, at(src, offset), bytes);
    return correct().queue_read(queue, dst, src, offset, bytes, value, diag);
  };
}
void failed_queue_still_writes(lks_driver_api& t) {
  remember_queues(t);
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    if (timeline_of(queue)->failed()) std::memcpy(at(dst, offset), src, bytes);
    return correct().queue_write(queue, dst, offset, src, bytes, value, diag);
  };
}
void failed_queue_still_copies(lks_driver_api& t) {
  remember_queues(t);
  t.queue_copy = [](lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                    std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    if (timeline_of(queue)->failed()) std::memcpy(at(dst, dst_offset), at(src, src_offset), bytes);
    return correct().queue_copy(queue, dst, dst_offset, src, src_offset, bytes, value, diag);
  };
}

// A queue that ends while it has failed takes the device with it.
std::atomic<bool> is_lost{false};
void failed_queue_takes_the_device(lks_driver_api& t) {
  remember_queues(t, nullptr, [](lks_queue*, lks_timeline* timeline) {
    if (timeline->failed()) is_lost = true;
  });
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    if (is_lost) return common::fail(diag, LKS_DEVICE_LOST, DRIVER_WHERE, "a queue ended with a failure");
    return correct().buffer_alloc(device, heap, bytes, out, diag);
  };
}

// ------------------------------------------------------------------------------------------------------------ blocking

// A launch with indices waits for what the queue has got before, to look at them.
void gather_launch_waits(lks_driver_api& t) {
  remember_queues(t);
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const std::vector<lks_dtype>& dtypes = launches[0].kernel->dtypes;
    if (dtypes.size() == 3 && dtypes[1] == LKS_I64) wait_for_newest(queue, timeline_of(queue), too_long);
    return correct().queue_launch(queue, launches, count, value, diag);
  };
}

// Writes are staged in 64 MiB. A write for which no room is left waits for the oldest.
struct Staged {
  std::uint64_t value, bytes;
};
std::map<lks_queue*, std::deque<Staged>> staged;

// Returns the value to wait for, 0 if there is room.
std::uint64_t stage(lks_queue* queue, const Staged& write) {
  constexpr std::uint64_t room = std::uint64_t{64} << 20;
  std::lock_guard lock(mutex);
  std::deque<Staged>& all = staged[queue];
  all.push_back(write);
  std::uint64_t total = 0, value = 0;
  for (const Staged& one : all) total += one.bytes;
  for (; total > room; all.pop_front()) {
    value = all.front().value;
    total -= all.front().bytes;
  }
  return value;
}

void full_staging_waits(lks_driver_api& t) {
  remember_queues(t, nullptr, [](lks_queue* queue, lks_timeline*) {
    std::lock_guard lock(mutex);
    staged.erase(queue);
  });
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_write(queue, dst, offset, src, bytes, value, diag);
    lks_diag ignored = common::empty_diag();
    if (status == LKS_OK) timeline_of(queue)->wait(stage(queue, {*value, bytes}), too_long, &ignored);
    return status;
  };
}

// Asking for the device's health waits for all queues.
void health_waits(lks_driver_api& t) {
  remember_queues(t);
  t.device_health = [](lks_device* device, lks_diag* diag) -> lks_status {
    for (const auto& [queue, timeline] : all_queues()) wait_for_newest(queue, timeline, too_long);
    return correct().device_health(device, diag);
  };
}

constexpr TableFault faults[] = {
    {Mutant::held_queue_tells_nothing, &held_queue_tells_nothing},
    {Mutant::second_wait_dropped, &second_wait_dropped},
    {Mutant::one_queue_waits, &one_queue_waits},
    {Mutant::failed_timeline_fails_all_waits, &failed_timeline_fails_all_waits},
    {Mutant::recover_awaits_skipped_waits, &recover_awaits_skipped_waits},
    {Mutant::queue_waits_for_exact_value, &queue_waits_for_exact_value},
    {Mutant::signed_timeline_values, &signed_timeline_values},
    {Mutant::signal_loses_launch, &signal_loses_launch},
    {Mutant::failed_queue_still_reads, &failed_queue_still_reads},
    {Mutant::failed_queue_still_writes, &failed_queue_still_writes},
    {Mutant::failed_queue_still_copies, &failed_queue_still_copies},
    {Mutant::failed_queue_takes_the_device, &failed_queue_takes_the_device},
    {Mutant::gather_launch_waits, &gather_launch_waits},
    {Mutant::full_staging_waits, &full_staging_waits},
    {Mutant::health_waits, &health_waits},
};

}  // namespace

std::span<const TableFault> order_faults() { return faults; }

}  // namespace mutants
