// Faults in queues, timelines and copies.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

#include "backends/host/kernel.h"
#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

// ----------------------------------------------------------------------------------------------------------- timelines

std::mutex mutex;
std::set<lks_timeline*> queue_timelines;

bool is_of_queue(lks_timeline* timeline) {
  std::lock_guard lock(mutex);
  return queue_timelines.count(timeline) != 0;
}

void remember_queue_timelines(lks_driver_api& t) {
  t.queue_create = [](lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_create(device, kind, out, timeline, diag);
    if (status != LKS_OK) return status;
    std::lock_guard lock(mutex);
    queue_timelines.insert(*timeline);
    return status;
  };
}

// A queue's timeline reaches a value when its command starts.
void early_signal(lks_driver_api& t) {
  remember_queue_timelines(t);
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    if (value > 0 && is_of_queue(timeline)) --value;
    return correct().timeline_wait(timeline, value, timeout_ns, diag);
  };
}

// timeline_query reports one value too many.
void query_runs_ahead(lks_driver_api& t) {
  remember_queue_timelines(t);
  t.timeline_query = [](lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_query(timeline, reached, diag);
    if (status == LKS_OK && is_of_queue(timeline)) ++*reached;
    return status;
  };
}

// A read returns the value of the command before it.
void read_value_one_short(lks_driver_api& t) {
  t.queue_read = [](lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                    std::uint64_t* value, lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_read(queue, dst, src, offset, bytes, value, diag);
    if (status == LKS_OK && *value > 1) --*value;
    return status;
  };
}

void skipped_wait(lks_driver_api& t) {
  t.queue_wait = [](lks_queue*, lks_timeline*, std::uint64_t, lks_diag*) -> lks_status { return LKS_OK; };
}

// Transfer queues do not wait for other queues.
std::set<lks_queue*> transfer_queues;
void transfer_skips_waits(lks_driver_api& t) {
  t.queue_create = [](lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_create(device, kind, out, timeline, diag);
    if (status != LKS_OK) return status;
    std::lock_guard lock(mutex);
    kind == LKS_QUEUE_TRANSFER ? void(transfer_queues.insert(*out)) : void(transfer_queues.erase(*out));
    return status;
  };
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    {
      std::lock_guard lock(mutex);
      if (transfer_queues.count(queue)) return LKS_OK;
    }
    return correct().queue_wait(queue, timeline, value, diag);
  };
}

// queue_wait waits for one value less than requested.
void wait_one_short(lks_driver_api& t) {
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    return correct().queue_wait(queue, timeline, value > 0 ? value - 1 : 0, diag);
  };
}

void failure_lost(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, diag);
    return status == LKS_TIMEOUT ? status : LKS_OK;
  };
  t.timeline_query = [](lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) -> lks_status {
    correct().timeline_query(timeline, reached, diag);
    return LKS_OK;
  };
}

// A timeout is reported as success.
void timeout_means_done(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, diag);
    return status == LKS_TIMEOUT ? LKS_OK : status;
  };
}

void failed_value_not_told(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, diag);
    if (status < 0 && status != LKS_TIMEOUT) diag->value = 0;
    return status;
  };
}

void recover_gives_up(lks_driver_api& t) {
  t.queue_recover = [](lks_queue*, std::uint64_t*, lks_diag* diag) -> lks_status {
    std::snprintf(diag->what, sizeof diag->what, "the queue cannot be used any more");
    return diag->code = LKS_DEVICE_LOST;
  };
}

void signal_forgets_failure(lks_driver_api& t) {
  t.timeline_signal = [](lks_timeline* timeline, std::uint64_t value, const lks_diag*, lks_diag* diag) -> lks_status {
    return correct().timeline_signal(timeline, value, nullptr, diag);
  };
}

void flush_fails(lks_driver_api& t) {
  t.queue_flush = [](lks_queue*, lks_diag* diag) -> lks_status {
    std::snprintf(diag->what, sizeof diag->what, "there is nothing to submit");
    return diag->code = LKS_INTERNAL;
  };
}

// -------------------------------------------------------------------------------------------------------------- copies

void write_drops_tail(lks_driver_api& t) {
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_write(queue, dst, offset, src, bytes > 4 ? bytes / 4 * 4 : bytes, value, diag);
  };
}

// The last of the host's bytes are read in a block of 16.
void write_reads_past_its_source(lks_driver_api& t) {
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    [[maybe_unused]] static volatile char last = 0;
    if (bytes > 0) last = static_cast<const char*>(src)[(bytes + 15) / 16 * 16 - 1];
    return correct().queue_write(queue, dst, offset, src, bytes, value, diag);
  };
}

// Reads are rounded up to multiples of eight bytes and overrun the destination.
void read_rounds_up(lks_driver_api& t) {
  t.queue_read = [](lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                    std::uint64_t* value, lks_diag* diag) -> lks_status {
    const std::uint64_t most = src->bytes - offset;
    return correct().queue_read(queue, dst, src, offset, std::min(most, (bytes + 7) / 8 * 8), value, diag);
  };
}

void copy_rounds_offset(lks_driver_api& t) {
  t.queue_copy = [](lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                    std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_copy(queue, dst, dst_offset, src, src_offset / 4 * 4, bytes, value, diag);
  };
}

// Only the low byte of two-byte patterns is used.
void fill_repeats_low_byte(lks_driver_api& t) {
  t.queue_fill = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                    std::uint32_t pattern_bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_fill(queue, dst, offset, bytes, pattern, pattern_bytes == 2 ? 1 : pattern_bytes, value,
                                diag);
  };
}

void fill_stops_early(lks_driver_api& t) {
  t.queue_fill = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                    std::uint32_t pattern_bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    const std::uint64_t whole = bytes > 64 ? bytes / 16 * 16 : bytes;
    return correct().queue_fill(queue, dst, offset, whole, pattern, pattern_bytes, value, diag);
  };
}

// Claims that writes are copied, although the queue reads the host's bytes later.
void writes_not_copied(lks_driver_api& t) {
  t.device_describe = [](lks_driver* driver, std::uint32_t ordinal, lks_device_info* info,
                         lks_diag* diag) -> lks_status {
    const lks_status status = correct().device_describe(driver, ordinal, info, diag);
    if (status == LKS_OK && LKS_HAS_FIELD(info, capabilities)) info->capabilities |= LKS_CAP_COPIES_WRITES;
    return status;
  };
}

constexpr std::uint64_t staging = std::uint64_t{64} << 20;

void write_loses_second_staging(lks_driver_api& t) {
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_write(queue, dst, offset, src, std::min(bytes, staging), value, diag);
  };
}

void fill_loses_second_staging(lks_driver_api& t) {
  t.queue_fill = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                    std::uint32_t pattern_bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_fill(queue, dst, offset, std::min(bytes, staging), pattern, pattern_bytes, value, diag);
  };
}

void copy_loses_second_staging(lks_driver_api& t) {
  t.queue_copy = [](lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                    std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_copy(queue, dst, dst_offset, src, src_offset, std::min(bytes, staging), value, diag);
  };
}

void wide_fill_loses_second_staging(lks_driver_api& t) {
  t.queue_fill = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                    std::uint32_t pattern_bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    const std::uint64_t done = pattern_bytes > 1 ? std::min(bytes, staging) : bytes;
    return correct().queue_fill(queue, dst, offset, done, pattern, pattern_bytes, value, diag);
  };
}

std::set<lks_queue*> small_queues;  // transfer queues, whose writes end after 64 MiB

void transfer_write_loses_second_staging(lks_driver_api& t) {
  t.queue_create = [](lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_create(device, kind, out, timeline, diag);
    if (status == LKS_OK) kind == LKS_QUEUE_TRANSFER ? void(small_queues.insert(*out)) : void(small_queues.erase(*out));
    return status;
  };
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    const std::uint64_t done = small_queues.count(queue) ? std::min(bytes, staging) : bytes;
    return correct().queue_write(queue, dst, offset, src, done, value, diag);
  };
}

// Offsets are cut to 32 bits.
constexpr std::uint64_t low_half = 0xffffffff;

void copy_offsets_in_32_bits(lks_driver_api& t) {
  t.queue_copy = [](lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                    std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_copy(queue, dst, dst_offset & low_half, src, src_offset & low_half, bytes, value, diag);
  };
}
void fill_offsets_in_32_bits(lks_driver_api& t) {
  t.queue_fill = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes, std::uint64_t pattern,
                    std::uint32_t pattern_bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_fill(queue, dst, offset & low_half, bytes, pattern, pattern_bytes, value, diag);
  };
}
void read_offsets_in_32_bits(lks_driver_api& t) {
  t.queue_read = [](lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                    std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_read(queue, dst, src, offset & low_half, bytes, value, diag);
  };
}
void write_offsets_in_32_bits(lks_driver_api& t) {
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    return correct().queue_write(queue, dst, offset & low_half, src, bytes, value, diag);
  };
}

// The value of a copy or a write of more than 1 MiB is reached after its first MiB.
constexpr std::uint64_t first_part = std::uint64_t{1} << 20;

void copy_done_at_first_part(lks_driver_api& t) {
  t.queue_copy = [](lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                    std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    const std::uint64_t told = std::min(bytes, first_part);
    const lks_status status = correct().queue_copy(queue, dst, dst_offset, src, src_offset, told, value, diag);
    std::uint64_t untold = 0;
    if (status != LKS_OK || told == bytes) return status;
    return correct().queue_copy(queue, dst, dst_offset + told, src, src_offset + told, bytes - told, &untold, diag);
  };
}

void write_done_at_first_part(lks_driver_api& t) {
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    const std::uint64_t told = std::min(bytes, first_part);
    const lks_status status = correct().queue_write(queue, dst, offset, src, told, value, diag);
    std::uint64_t untold = 0;
    if (status != LKS_OK || told == bytes) return status;
    const char* const rest = static_cast<const char*>(src) + told;
    return correct().queue_write(queue, dst, offset + told, rest, bytes - told, &untold, diag);
  };
}

// ---------------------------------------------------------------------------------------------------- wide values

void waits_in_32_bits(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    return correct().timeline_wait(timeline, value & 0xffffffffu, timeout_ns, diag);
  };
}
void queue_waits_in_32_bits(lks_driver_api& t) {
  t.queue_wait = [](lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) -> lks_status {
    return correct().queue_wait(queue, timeline, value & 0xffffffffu, diag);
  };
}

// ------------------------------------------------------------------------------------------------------------ launches

void first_of_several(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    return correct().queue_launch(queue, launches, std::min(count, 1u), value, diag);
  };
}

void units_end_at_256(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    return correct().queue_launch(queue, launches, std::min(count, 256u), value, diag);
  };
}

// Indexes the host's array by the size of the driver's own lks_launch.
void launches_by_own_size(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    std::vector<lks_launch> own(launches, launches + count);
    for (lks_launch& launch : own) launch.hdr.size = sizeof launch;
    return correct().queue_launch(queue, own.data(), count, value, diag);
  };
}

// The launches of one submission run in reverse order.
void launches_out_of_order(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    std::vector<lks_launch> reversed(launches, launches + count);
    std::reverse(reversed.begin(), reversed.end());
    return correct().queue_launch(queue, reversed.data(), count, value, diag);
  };
}

// The value of a submission is reached before its last launch.
void unit_done_before_last(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const std::uint32_t told = count > 1 ? count - 1 : count;
    const lks_status status = correct().queue_launch(queue, launches, told, value, diag);
    std::uint64_t untold = 0;
    if (status != LKS_OK || told == count) return status;
    return correct().queue_launch(queue, launches + told, 1, &untold, diag);
  };
}

void any_queue_kind_accepted(lks_driver_api& t) {
  t.queue_create = [](lks_device* device, std::uint32_t, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    return correct().queue_create(device, LKS_QUEUE_COMPUTE, out, timeline, diag);
  };
}

// Kinds are told apart by their low byte.
void high_queue_kinds_accepted(lks_driver_api& t) {
  t.queue_create = [](lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    return correct().queue_create(device, kind & 0xff, out, timeline, diag);
  };
}

constexpr TableFault faults[] = {
    {Mutant::any_queue_kind_accepted, &any_queue_kind_accepted},
    {Mutant::high_queue_kinds_accepted, &high_queue_kinds_accepted},
    {Mutant::early_signal, &early_signal},
    {Mutant::query_runs_ahead, &query_runs_ahead},
    {Mutant::read_value_one_short, &read_value_one_short},
    {Mutant::skipped_wait, &skipped_wait},
    {Mutant::transfer_skips_waits, &transfer_skips_waits},
    {Mutant::wait_one_short, &wait_one_short},
    {Mutant::failure_lost, &failure_lost},
    {Mutant::timeout_means_done, &timeout_means_done},
    {Mutant::failed_value_not_told, &failed_value_not_told},
    {Mutant::recover_gives_up, &recover_gives_up},
    {Mutant::signal_forgets_failure, &signal_forgets_failure},
    {Mutant::flush_fails, &flush_fails},
    {Mutant::write_drops_tail, &write_drops_tail},
    {Mutant::writes_not_copied, &writes_not_copied},
    {Mutant::write_reads_past_its_source, &write_reads_past_its_source},
    {Mutant::read_rounds_up, &read_rounds_up},
    {Mutant::copy_rounds_offset, &copy_rounds_offset},
    {Mutant::fill_repeats_low_byte, &fill_repeats_low_byte},
    {Mutant::fill_stops_early, &fill_stops_early},
    {Mutant::write_loses_second_staging, &write_loses_second_staging},
    {Mutant::fill_loses_second_staging, &fill_loses_second_staging},
    {Mutant::transfer_write_loses_second_staging, &transfer_write_loses_second_staging},
    {Mutant::copy_loses_second_staging, &copy_loses_second_staging},
    {Mutant::wide_fill_loses_second_staging, &wide_fill_loses_second_staging},
    {Mutant::copy_offsets_in_32_bits, &copy_offsets_in_32_bits},
    {Mutant::fill_offsets_in_32_bits, &fill_offsets_in_32_bits},
    {Mutant::read_offsets_in_32_bits, &read_offsets_in_32_bits},
    {Mutant::write_offsets_in_32_bits, &write_offsets_in_32_bits},
    {Mutant::copy_done_at_first_part, &copy_done_at_first_part},
    {Mutant::write_done_at_first_part, &write_done_at_first_part},
    {Mutant::waits_in_32_bits, &waits_in_32_bits},
    {Mutant::queue_waits_in_32_bits, &queue_waits_in_32_bits},
    {Mutant::first_of_several, &first_of_several},
    {Mutant::units_end_at_256, &units_end_at_256},
    {Mutant::launches_by_own_size, &launches_by_own_size},
    {Mutant::launches_out_of_order, &launches_out_of_order},
    {Mutant::unit_done_before_last, &unit_done_before_last},
};

}  // namespace

std::span<const TableFault> queue_faults() { return faults; }

}  // namespace mutants
