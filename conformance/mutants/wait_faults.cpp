// Faults in waiting, blocking, recovery and signals, in the free bytes that out of memory reports, and in aliasing.
#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <utility>

#include "backends/common/diag.h"
#include "backends/common/timeline.h"
#include "backends/host/kernel.h"
#include "conformance/mutants/known_queues.h"
#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

std::mutex mutex;

// -------------------------------------------------------------------------------------------------------- recovering

struct Recovered {
  std::uint64_t failed = 0, last = 0;
  lks_diag diag = common::empty_diag();
};
std::map<lks_timeline*, Recovered> recovered;  // the last failure of each queue's timeline

// Records the last failure that each queue has recovered from.
void remember_failures(lks_driver_api& t) {
  remember_queues(t, [](lks_queue*, lks_timeline* timeline) {
    std::lock_guard lock(mutex);
    recovered.erase(timeline);
  });
  t.queue_recover = [](lks_queue* queue, std::uint64_t* last, lks_diag* diag) -> lks_status {
    lks_timeline* const timeline = timeline_of(queue);
    Recovered r;
    std::uint64_t reached = 0;
    const bool failed = correct().timeline_query(timeline, &reached, &r.diag) != LKS_OK;
    const lks_status status = correct().queue_recover(queue, last, diag);
    if (!failed || status != LKS_OK) return status;
    r.failed = r.diag.value;
    r.last = *last;
    std::lock_guard lock(mutex);
    recovered[timeline] = r;
    return status;
  };
}

// Whether the command with this value failed or was skipped, and the queue has recovered since.
bool was_lost(lks_timeline* timeline, std::uint64_t value, Recovered& r) {
  std::lock_guard lock(mutex);
  const auto known = recovered.find(timeline);
  if (known == recovered.end() || value < known->second.failed || value > known->second.last) return false;
  r = known->second;
  return true;
}

void failed_values_stay_failed(lks_driver_api& t) {
  remember_failures(t);
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    if (Recovered r; was_lost(timeline, value, r)) return common::return_stored(r.diag, diag);
    return correct().timeline_wait(timeline, value, timeout_ns, diag);
  };
}

// After recovery, timeline_query reports the last value before the failure, until another command is done.
void query_stays_at_failure(lks_driver_api& t) {
  remember_failures(t);
  t.timeline_query = [](lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_query(timeline, reached, diag);
    if (Recovered r; status == LKS_OK && was_lost(timeline, *reached, r)) *reached = r.failed - 1;
    return status;
  };
}

// queue_recover returns at once if the queue has not failed yet.
void recovers_too_early(lks_driver_api& t) {
  remember_queues(t);
  t.queue_recover = [](lks_queue* queue, std::uint64_t* last, lks_diag* diag) -> lks_status {
    return timeline_of(queue)->failed() ? correct().queue_recover(queue, last, diag)
                                        : enqueue_nothing(queue, last, diag);
  };
}

// queue_recover drops the commands that have not run, even if none has failed. A failed timeline makes the correct
// driver skip them.
void recover_discards(lks_driver_api& t) {
  remember_queues(t);
  t.queue_recover = [](lks_queue* queue, std::uint64_t* last, lks_diag* diag) -> lks_status {
    timeline_of(queue)->fail(common::empty_diag(), ~std::uint64_t{0});
    return correct().queue_recover(queue, last, diag);
  };
}

// queue_recover drops what other queues have not run either: their timelines fail.
void recover_cancels_others(lks_driver_api& t) {
  remember_queues(t);
  t.queue_recover = [](lks_queue* queue, std::uint64_t* last, lks_diag* diag) -> lks_status {
    lks_diag cancelled = common::empty_diag();
    cancelled.code = LKS_CANCELLED;
    for (const auto& [other, timeline] : all_queues()) {
      if (other == queue || wait_for_newest(other, timeline, 20'000'000) != LKS_TIMEOUT) continue;
      timeline->fail(cancelled, ~std::uint64_t{0});
    }
    return correct().queue_recover(queue, last, diag);
  };
}

// queue_recover waits for the commands of all queues.
void recover_waits_for_others(lks_driver_api& t) {
  remember_queues(t);
  t.queue_recover = [](lks_queue* queue, std::uint64_t* last, lks_diag* diag) -> lks_status {
    for (const auto& [other, timeline] : all_queues()) {
      if (other != queue) wait_for_newest(other, timeline, too_long);
    }
    return correct().queue_recover(queue, last, diag);
  };
}

// After recovery, a queue that waits for a value that was lost gets the old failure.
void recovered_values_never_come(lks_driver_api& t) {
  remember_failures(t);
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    if (Recovered r; was_lost(timeline, value, r)) return common::return_stored(r.diag, diag);
    return correct().queue_wait(queue, timeline, value, diag);
  };
}

// ------------------------------------------------------------------------------------------------------------ failing

// The failure of a command says that the command failed which is waited for.
void failure_names_the_wait(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, diag);
    if (status != LKS_OK && timeline->of_queue && diag->value != 0) diag->value = value;
    return status;
  };
}

// A query counts the command that failed as done.
void failed_queue_looks_done(lks_driver_api& t) {
  t.timeline_query = [](lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) -> lks_status {
    lks_diag failure = common::empty_diag();
    const lks_status status = correct().timeline_query(timeline, reached, &failure);
    if (status == LKS_OK) return status;
    if (!timeline->of_queue) return common::return_stored(failure, diag);
    *reached = failure.value;
    return LKS_OK;
  };
}

// All queues look at one word to see whether a launch has failed: while one queue has, launches of others do nothing.
void one_error_word(lks_driver_api& t) {
  remember_queues(t);
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    for (const auto& [other, timeline] : all_queues()) {
      if (other != queue && timeline->failed()) return enqueue_nothing(queue, value, diag);
    }
    return correct().queue_launch(queue, launches, count, value, diag);
  };
}

// ------------------------------------------------------------------------------------------------------------ blocking

// A read returns when it is done.
void read_waits(lks_driver_api& t) {
  remember_queues(t);
  t.queue_read = [](lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                    std::uint64_t* value, lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_read(queue, dst, src, offset, bytes, value, diag);
    lks_diag ignored = common::empty_diag();
    if (status == LKS_OK) timeline_of(queue)->wait(*value, too_long, &ignored);
    return status;
  };
}

// buffer_free waits for the commands of all queues.
void free_waits(lks_driver_api& t) {
  remember_queues(t);
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    for (const auto& [queue, timeline] : all_queues()) wait_for_newest(queue, timeline, too_long);
    correct().buffer_free(device, buffer);
  };
}

// With about 1,024 commands in a queue, a fill waits for the oldest. Values grow by three with every two commands.
void full_queue_waits(lks_driver_api& t) {
  remember_queues(t);
  t.queue_fill = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                    std::uint32_t pattern_bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    constexpr std::uint64_t most = 1536;
    const lks_status status = correct().queue_fill(queue, dst, offset, bytes, pattern, pattern_bytes, value, diag);
    lks_diag ignored = common::empty_diag();
    if (status == LKS_OK && *value > most) timeline_of(queue)->wait(*value - most, too_long, &ignored);
    return status;
  };
}

// ------------------------------------------------------------------------------------------------------------- waiting

bool is_injected(lks_status status, const lks_diag& diag) { return status < 0 && diag.value == 0; }

// If a wait itself fails, its diag names the command.
void failed_wait_names_a_command(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, diag);
    if (is_injected(status, *diag) && status != LKS_TIMEOUT) diag->value = value;
    return status;
  };
}

// After a wait itself has failed, all later waits on that timeline fail.
std::map<lks_timeline*, lks_diag> unusable;
void failed_wait_is_final(lks_driver_api& t) {
  t.queue_create = [](lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_create(device, kind, out, timeline, diag);
    std::lock_guard lock(mutex);
    if (status == LKS_OK) unusable.erase(*timeline);
    return status;
  };
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    {
      std::lock_guard lock(mutex);
      if (const auto known = unusable.find(timeline); known != unusable.end())
        return common::return_stored(known->second, diag);
    }
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, diag);
    if (is_injected(status, *diag) && status != LKS_TIMEOUT) {
      std::lock_guard lock(mutex);
      unusable[timeline] = *diag;
    }
    return status;
  };
}

template <class Change>
lks_status wait_with(lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns, lks_diag* diag,
                     Change&& change) {
  const bool has_end = timeout_ns > 0 && timeout_ns < (std::uint64_t{1} << 60);
  return correct().timeline_wait(timeline, value, has_end ? change(timeout_ns) : timeout_ns, diag);
}

// Timeouts are rounded up to seconds.
void timeouts_in_seconds(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    constexpr std::uint64_t second = 1'000'000'000;
    return wait_with(timeline, value, timeout_ns, diag,
                     [](std::uint64_t ns) { return (ns + second - 1) / second * second; });
  };
}

// Timeouts are rounded down to multiples of 4 ms.
void timeouts_rounded_down(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    constexpr std::uint64_t step = 4'000'000;
    return wait_with(timeline, value, timeout_ns, diag, [](std::uint64_t ns) { return ns / step * step; });
  };
}

// Waits on a queue's timeline ignore the timeout.
void queue_waits_have_no_end(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    return correct().timeline_wait(timeline, value,
                                   timeline->of_queue && timeout_ns > 0 ? ~std::uint64_t{0} : timeout_ns, diag);
  };
}

// Waits on a queue's timeline with a timeout of 0 wait as if they had none.
void zero_timeout_waits(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const bool waits = timeline->of_queue && timeout_ns == 0;
    return correct().timeline_wait(timeline, value, waits ? too_long : timeout_ns, diag);
  };
}

// Values that a queue has not given out yet count as reached.
void unknown_value_is_done(lks_driver_api& t) {
  remember_queues(t);
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    lks_diag failure = common::empty_diag();
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, &failure);
    if (status == LKS_OK) return status;
    for (const auto& [queue, own] : all_queues()) {
      std::uint64_t newest = 0;
      if (own == timeline && status == LKS_TIMEOUT && enqueue_nothing(queue, &newest, diag) == LKS_OK && value > newest)
        return LKS_OK;
    }
    return common::return_stored(failure, diag);
  };
}

// A fill returns the value of the command before it.
void fill_takes_no_value(lks_driver_api& t) {
  t.queue_fill = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                    std::uint32_t pattern_bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_fill(queue, dst, offset, bytes, pattern, pattern_bytes, value, diag);
    if (status == LKS_OK) --*value;
    return status;
  };
}

// ----------------------------------------------------------------------------------------------------------- signals

// Refused signals return LKS_OK.
void refused_signal_is_ok(lks_driver_api& t) {
  t.timeline_signal = [](lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                         lks_diag*) -> lks_status {
    lks_diag ignored{};
    correct().timeline_signal(timeline, value, failure, &ignored);
    return LKS_OK;
  };
}

// A signal to a failed timeline advances it.
void signal_revives(lks_driver_api& t) {
  t.timeline_signal = [](lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                         lks_diag* diag) -> lks_status {
    if (!failure && timeline->failed() && !timeline->of_queue) {
      timeline->recover(value);
      return LKS_OK;
    }
    return correct().timeline_signal(timeline, value, failure, diag);
  };
}

// The host can signal a queue's timeline.
void host_signals_queues(lks_driver_api& t) {
  t.timeline_signal = [](lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                         lks_diag* diag) -> lks_status {
    const bool of_queue = std::exchange(timeline->of_queue, false);
    const lks_status status = correct().timeline_signal(timeline, value, failure, diag);
    timeline->of_queue = of_queue;
    return status;
  };
}

// A signalled failure loses its operand, its heap and the numbers of bytes.
void signal_loses_numbers(lks_driver_api& t) {
  t.timeline_signal = [](lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                         lks_diag* diag) -> lks_status {
    if (!failure) return correct().timeline_signal(timeline, value, failure, diag);
    lks_diag kept = *failure;
    kept.operand = -1;
    kept.heap = 0;
    kept.requested_bytes = kept.free_bytes = 0;
    return correct().timeline_signal(timeline, value, &kept, diag);
  };
}

// ----------------------------------------------------------------------------------------- memory that is free, shared

template <class Report>
lks_status alloc_reporting(lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                           lks_diag* diag, Report&& report) {
  const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
  if (status == LKS_OUT_OF_MEMORY) diag->free_bytes = report(*diag);
  return status;
}

void free_bytes_untold(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    return alloc_reporting(device, heap, bytes, out, diag, [](const lks_diag&) { return std::uint64_t{0}; });
  };
}

// free_bytes is the size of the heap, or the requested size.
void free_bytes_are_all_bytes(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    return alloc_reporting(device, heap, bytes, out, diag, [](const lks_diag&) { return std::uint64_t{1} << 30; });
  };
}
void free_bytes_are_those_asked_for(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    return alloc_reporting(device, heap, bytes, out, diag, [](const lks_diag& d) { return d.requested_bytes; });
  };
}

// Aliases are ignored: the kernel is the one for separate memory.
void forget_aliases(EditableDesc& e) { e.desc.alias_count = 0; }

// The reason is LKS_REASON_OP, for which the host would decompose the op.
lks_status with_another_reason(lks_status status, lks_diag* diag) {
  if (status == LKS_UNSUPPORTED && diag->reason == LKS_REASON_ALIAS) diag->reason = LKS_REASON_OP;
  return status;
}
void alias_refused_as_op(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    return with_another_reason(correct().kernel_query(driver, ordinal, desc, info, diag), diag);
  };
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    return with_another_reason(correct().kernel_prepare(device, desc, out, info, diag), diag);
  };
}

constexpr TableFault faults[] = {
    {Mutant::failed_values_stay_failed, &failed_values_stay_failed},
    {Mutant::query_stays_at_failure, &query_stays_at_failure},
    {Mutant::recovers_too_early, &recovers_too_early},
    {Mutant::recover_discards, &recover_discards},
    {Mutant::recover_cancels_others, &recover_cancels_others},
    {Mutant::recover_waits_for_others, &recover_waits_for_others},
    {Mutant::recovered_values_never_come, &recovered_values_never_come},
    {Mutant::failure_names_the_wait, &failure_names_the_wait},
    {Mutant::failed_queue_looks_done, &failed_queue_looks_done},
    {Mutant::one_error_word, &one_error_word},
    {Mutant::read_waits, &read_waits},
    {Mutant::free_waits, &free_waits},
    {Mutant::full_queue_waits, &full_queue_waits},
    {Mutant::failed_wait_names_a_command, &failed_wait_names_a_command},
    {Mutant::failed_wait_is_final, &failed_wait_is_final},
    {Mutant::timeouts_in_seconds, &timeouts_in_seconds},
    {Mutant::timeouts_rounded_down, &timeouts_rounded_down},
    {Mutant::queue_waits_have_no_end, &queue_waits_have_no_end},
    {Mutant::zero_timeout_waits, &zero_timeout_waits},
    {Mutant::unknown_value_is_done, &unknown_value_is_done},
    {Mutant::fill_takes_no_value, &fill_takes_no_value},
    {Mutant::refused_signal_is_ok, &refused_signal_is_ok},
    {Mutant::signal_revives, &signal_revives},
    {Mutant::host_signals_queues, &host_signals_queues},
    {Mutant::signal_loses_numbers, &signal_loses_numbers},
    {Mutant::free_bytes_untold, &free_bytes_untold},
    {Mutant::free_bytes_are_all_bytes, &free_bytes_are_all_bytes},
    {Mutant::free_bytes_are_those_asked_for, &free_bytes_are_those_asked_for},
    {Mutant::alias_refused_as_op, &alias_refused_as_op},
};

// Dtypes are not compared: what has the same layout may share memory.
void forget_aliases_of_other_dtypes(EditableDesc& e) {
  for (std::uint32_t i = 0; i < e.desc.alias_count; ++i) {
    const lks_alias& alias = e.desc.aliases[i];
    if (alias.input >= e.desc.input_count || alias.output >= e.desc.output_count) return;
    const lks_dtype input = common::tensor_of(e.desc, alias.input).dtype,
                    output = common::tensor_of(e.desc, e.desc.input_count + alias.output).dtype;
    if (input != output) e.desc.alias_count = 0;
  }
}

constexpr DescFault aliases[] = {
    {Mutant::matmul_in_any_place, LKS_OP_MATMUL, &forget_aliases},
    {Mutant::gather_in_any_place, LKS_OP_GATHER, &forget_aliases},
    {Mutant::any_alias_fits, LKS_OP_POINTWISE, &forget_aliases},
    {Mutant::alias_of_another_dtype, LKS_OP_POINTWISE, &forget_aliases_of_other_dtypes},
};

}  // namespace

std::span<const TableFault> wait_faults() { return faults; }
std::span<const DescFault> alias_faults() { return aliases; }

}  // namespace mutants
