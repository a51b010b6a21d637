// Faults in the handling of failures: codes, texts, fault points, leaks and partial writes.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "backends/host/kernel.h"
#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

// ------------------------------------------------------------------------------------------------------------ the diag

lks_status without_text(lks_status status, lks_diag* diag) {
  if (status < 0) diag->what[0] = 0;
  return status;
}

void diag_without_text(lks_driver_api& t) {
  t.kernel_query = [](lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc, lks_kernel_info* info,
                      lks_diag* diag) -> lks_status {
    return without_text(correct().kernel_query(driver, ordinal, desc, info, diag), diag);
  };
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    return without_text(correct().kernel_prepare(device, desc, out, info, diag), diag);
  };
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    return without_text(correct().queue_launch(queue, launches, count, value, diag), diag);
  };
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    return without_text(correct().buffer_alloc(device, heap, bytes, out, diag), diag);
  };
}

// Texts are in Latin-1.
void diag_in_latin_1(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
    if (status != LKS_OK) std::snprintf(diag->what, sizeof diag->what, "plus de m\xe9moire");
    return status;
  };
}

void map_refused_without_reason(lks_driver_api& t) {
  t.buffer_map = [](lks_device* device, lks_buffer* buffer, std::uint64_t offset, std::uint64_t bytes, void** out,
                    lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_map(device, buffer, offset, bytes, out, diag);
    if (status == LKS_UNSUPPORTED) diag->reason = LKS_REASON_NONE;
    return status;
  };
}

// Every failure of a submission is said to be of its first launch.
void first_launch_blamed(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    if (status != LKS_OK && LKS_HAS_FIELD(diag, launch) && diag->launch > 0) diag->launch = 1;
    return status;
  };
}

// Failures of a timeline do not say which launch failed.
void failed_launch_untold(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, diag);
    if (status < 0) common::clear_launch(diag);
    return status;
  };
}

// Failures of a timeline are stored in the driver's own size, even if the host's lks_diag is smaller.
void diag_written_past(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    lks_diag full = common::empty_diag();
    const lks_status status = correct().timeline_wait(timeline, value, timeout_ns, &full);
    if (status == LKS_OK) return status;
    full.hdr = diag->hdr;
    std::memcpy(static_cast<void*>(diag), &full, sizeof full);
    return status;
  };
}

// Failures of a timeline have no text.
void late_failure_without_text(lks_driver_api& t) {
  t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                       lks_diag* diag) -> lks_status {
    return without_text(correct().timeline_wait(timeline, value, timeout_ns, diag), diag);
  };
  t.timeline_query = [](lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) -> lks_status {
    return without_text(correct().timeline_query(timeline, reached, diag), diag);
  };
}

void index_error_without_reason(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    if (status == LKS_INVALID_ARGUMENT) diag->reason = LKS_REASON_NONE;
    return status;
  };
}

// ------------------------------------------------------------------------------------------------- work and its status

lks_status internal_error(lks_diag* diag, const char* what) {
  std::snprintf(diag->what, sizeof diag->what, "%s", what);
  return diag->code = LKS_INTERNAL;
}

// Every 60th launch succeeds but is reported as failed.
void error_with_right_bytes(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    static std::atomic<unsigned> calls{0};
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    return status == LKS_OK && ++calls % 60 == 0 ? internal_error(diag, "a kernel was late") : status;
  };
}

// A failed launch has written a part of its output.
void failed_launch_has_written(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    if (status == LKS_OK || count == 0) return status;
    const host::TensorView out = launches[0].kernel->view(launches[0], launches[0].binding_count - 1);
    if (out.count() > 0) std::memset(out.data, 0xcd, host::size_of(out.dtype));
    return status;
  };
}

// The launches of a unit are submitted one by one: if one cannot be, those before it have run.
void units_in_parts(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    lks_status status = LKS_OK;
    for (std::uint32_t i = 0; i < count && status == LKS_OK; ++i) {
      status = correct().queue_launch(queue, &LKS_ELEMENT(lks_launch, launches, i), 1, value, diag);
      if (status == LKS_INVALID_ARGUMENT) common::set_launch(diag, i);
    }
    return status;
  };
}

// A read whose submission fails has filled the host's memory.
void failed_read_has_written(lks_driver_api& t) {
  t.queue_read = [](lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                    std::uint64_t* value, lks_diag* diag) -> lks_status {
    std::memcpy(dst, static_cast<char*>(src->data) + offset, bytes);
    return correct().queue_read(queue, dst, src, offset, bytes, value, diag);
  };
}

// Launches take turns, also while a launch asks the host.
void launches_under_a_lock(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    static std::mutex turn;
    const std::lock_guard lock(turn);
    return correct().queue_launch(queue, launches, count, value, diag);
  };
}

// -------------------------------------------------------------------------------------------------------- fault points

std::atomic<bool> stuck{false};
std::atomic<int> failing{0};

// The host that the correct driver sees: the real one with another fault_point. One for each open lks_driver.
struct ChangedHost {
  lks_host_api api;
  const lks_host_api& real;
};

std::mutex mutex;
std::map<lks_driver*, std::unique_ptr<ChangedHost>> hosts;

using FaultPoint = lks_status(LKS_CALL*)(const lks_host_api& real, std::uint32_t kind, const char* site);
FaultPoint changed_fault_point = nullptr;
bool loops_take_turns = false;

const lks_host_api& real_of(void* host) { return static_cast<ChangedHost*>(host)->real; }

std::unique_ptr<ChangedHost> changed(const lks_host_api& real) {
  std::unique_ptr<ChangedHost> host(new ChangedHost{real, real});
  host->api.host = host.get();
  host->api.log = [](void* h, std::uint32_t level, const char* component, const char* text) {
    real_of(h).log(real_of(h).host, level, component, text);
  };
  host->api.get_option = [](void* h, const char* key, char* buf, std::uint64_t size) -> std::int64_t {
    return real_of(h).get_option(real_of(h).host, key, buf, size);
  };
  host->api.parallel_for = [](void* h, std::int64_t n, std::int64_t grain, lks_range_fn fn, void* arg) {
    static std::mutex turn;
    std::unique_lock lock(turn, std::defer_lock);
    if (loops_take_turns) lock.lock();
    real_of(h).parallel_for(real_of(h).host, n, grain, fn, arg);
  };
  host->api.thread_count = [](void* h) -> std::uint32_t { return real_of(h).thread_count(real_of(h).host); };
  host->api.fault_point = [](void* h, std::uint32_t kind, const char* site) -> lks_status {
    return changed_fault_point(real_of(h), kind, site);
  };
  return host;
}

void with_fault_point(lks_driver_api& t, FaultPoint fault_point) {
  changed_fault_point = fault_point;
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    auto shown = changed(*host);
    const lks_status status = correct().driver_open(&shown->api, out, diag);
    if (status != LKS_OK) return status;
    std::lock_guard lock(mutex);
    hosts[*out] = std::move(shown);
    return status;
  };
  t.driver_close = [](lks_driver* driver) {
    std::unique_ptr<ChangedHost> last;
    {
      std::lock_guard lock(mutex);
      last = std::move(hosts[driver]);
      hosts.erase(driver);
    }
    correct().driver_close(driver);
  };
}

// Calls the real host's fault_point.
lks_status ask(const lks_host_api& real, std::uint32_t kind, const char* site) {
  return real.fault_point(real.host, kind, site);
}

// A parallel loop waits for those of other threads.
void loops_under_a_lock(lks_driver_api& t) {
  loops_take_turns = true;
  with_fault_point(t, &ask);
}

void no_fault_points(lks_driver_api& t) {
  with_fault_point(t, [](const lks_host_api&, std::uint32_t, const char*) -> lks_status { return LKS_OK; });
}

void submit_without_fault_point(lks_driver_api& t) {
  with_fault_point(t, [](const lks_host_api& real, std::uint32_t kind, const char* site) -> lks_status {
    return kind == LKS_FAULT_SUBMIT ? LKS_OK : ask(real, kind, site);
  });
}

void injected_fault_ignored(lks_driver_api& t) {
  with_fault_point(t, [](const lks_host_api& real, std::uint32_t kind, const char* site) -> lks_status {
    ask(real, kind, site);
    return LKS_OK;
  });
}

void injected_code_lost(lks_driver_api& t) {
  with_fault_point(t, [](const lks_host_api& real, std::uint32_t kind, const char* site) -> lks_status {
    return ask(real, kind, site) == LKS_OK ? LKS_OK : LKS_INTERNAL;
  });
}

// After one injected fault, every fault point fails.
void stuck_after_fault(lks_driver_api& t) {
  with_fault_point(t, [](const lks_host_api& real, std::uint32_t kind, const char* site) -> lks_status {
    const lks_status status = ask(real, kind, site);
    if (status != LKS_OK) stuck = true;
    return stuck ? LKS_OUT_OF_MEMORY : status;
  });
}

// The fault point after a failed one fails too.
void fault_echoes(lks_driver_api& t) {
  with_fault_point(t, [](const lks_host_api& real, std::uint32_t kind, const char* site) -> lks_status {
    const lks_status status = ask(real, kind, site);
    if (status != LKS_OK) {
      failing = 1;
      return status;
    }
    return failing.exchange(0) ? LKS_INTERNAL : LKS_OK;
  });
}

// A failed call leaks what it has already allocated.
void leaks_after_fault(lks_driver_api& t) {
  with_fault_point(t, [](const lks_host_api& real, std::uint32_t kind, const char* site) -> lks_status {
    const lks_status status = ask(real, kind, site);
    if (status != LKS_OK) {
      static void* volatile lost;  // volatile, so that the allocation is not optimised away
      constexpr std::size_t bytes = std::size_t{4} << 20;
      lost = std::malloc(bytes);
      if (lost) std::memset(lost, 1, bytes);
    }
    return status;
  });
}

// A launch whose submission fails runs anyway.
void failed_submit_has_run(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    if (status == LKS_OK || status == LKS_INVALID_ARGUMENT) return status;
    for (std::uint32_t i = 0; i < count; ++i) launches[i].kernel->run(launches[i]);
    return status;
  };
}

constexpr TableFault faults[] = {
    {Mutant::diag_without_text, &diag_without_text},
    {Mutant::late_failure_without_text, &late_failure_without_text},
    {Mutant::diag_in_latin_1, &diag_in_latin_1},
    {Mutant::map_refused_without_reason, &map_refused_without_reason},
    {Mutant::units_in_parts, &units_in_parts},
    {Mutant::failed_read_has_written, &failed_read_has_written},
    {Mutant::launches_under_a_lock, &launches_under_a_lock},
    {Mutant::loops_under_a_lock, &loops_under_a_lock},
    {Mutant::first_launch_blamed, &first_launch_blamed},
    {Mutant::failed_launch_untold, &failed_launch_untold},
    {Mutant::diag_written_past, &diag_written_past},
    {Mutant::index_error_without_reason, &index_error_without_reason},
    {Mutant::error_with_right_bytes, &error_with_right_bytes},
    {Mutant::failed_launch_has_written, &failed_launch_has_written},
    {Mutant::no_fault_points, &no_fault_points},
    {Mutant::submit_without_fault_point, &submit_without_fault_point},
    {Mutant::injected_fault_ignored, &injected_fault_ignored},
    {Mutant::injected_code_lost, &injected_code_lost},
    {Mutant::stuck_after_fault, &stuck_after_fault},
    {Mutant::fault_echoes, &fault_echoes},
    {Mutant::leaks_after_fault, &leaks_after_fault},
    {Mutant::failed_submit_has_run, &failed_submit_has_run},
};

}  // namespace

std::span<const TableFault> error_faults() { return faults; }

}  // namespace mutants
