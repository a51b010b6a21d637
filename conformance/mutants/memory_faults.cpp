// Faults in memory management: buffers, maps, leaks, numbers of free bytes.
#include <fcntl.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "backends/common/diag.h"
#include "backends/host/tensor_view.h"
#include "conformance/mutants/mutant.h"

namespace mutants {
namespace {

void leaks_buffers(lks_driver_api& t) {
  t.buffer_free = [](lks_device*, lks_buffer*) {};
}
void leaks_kernels(lks_driver_api& t) {
  t.kernel_release = [](lks_device*, lks_kernel*) {};
}

// Leaks memory. `volatile` keeps the compiler from removing the allocation.
void lose(std::size_t bytes) {
  [[maybe_unused]] static void* volatile lost = nullptr;
  lost = std::malloc(bytes);
}

// Failed launches leak memory.
void leaks_after_failed_launch(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    if (status == LKS_INVALID_ARGUMENT) lose(200);
    return status;
  };
}
void leaks_on_recovery(lks_driver_api& t) {
  t.queue_recover = [](lks_queue* queue, std::uint64_t* last, lks_diag* diag) -> lks_status {
    lose(200);
    return correct().queue_recover(queue, last, diag);
  };
}

void leaks_large_transfers(lks_driver_api& t) {
  t.queue_write = [](lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src, std::uint64_t bytes,
                     std::uint64_t* value, lks_diag* diag) -> lks_status {
    if (bytes > (1 << 20)) lose(200);
    return correct().queue_write(queue, dst, offset, src, bytes, value, diag);
  };
}

void leaks_units(lks_driver_api& t) {
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    if (count > 1) lose(200);
    return correct().queue_launch(queue, launches, count, value, diag);
  };
}

// Copies on transfer queues leak memory.
std::mutex transfer_mutex;
std::set<lks_queue*> transfer_queues;
void leaks_on_transfer_queues(lks_driver_api& t) {
  t.queue_create = [](lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_create(device, kind, out, timeline, diag);
    if (status != LKS_OK) return status;
    const std::lock_guard lock(transfer_mutex);
    kind == LKS_QUEUE_TRANSFER ? void(transfer_queues.insert(*out)) : void(transfer_queues.erase(*out));
    return status;
  };
  t.queue_copy = [](lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                    std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) -> lks_status {
    {
      const std::lock_guard lock(transfer_mutex);
      if (transfer_queues.count(queue)) lose(200);
    }
    return correct().queue_copy(queue, dst, dst_offset, src, src_offset, bytes, value, diag);
  };
}

// Asking for free memory opens a file and does not close it.
void memory_question_leaks_a_file(lks_driver_api& t) {
  t.device_memory = [](lks_driver* driver, std::uint32_t ordinal, lks_device* device, std::uint32_t heap,
                       std::uint64_t* total, std::uint64_t* free_bytes, lks_diag* diag) -> lks_status {
    [[maybe_unused]] static volatile int lost = -1;
    lost = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return correct().device_memory(driver, ordinal, device, heap, total, free_bytes, diag);
  };
}

void leaks_imports(lks_driver_api& t) {
  t.get_group = [](lks_driver* driver, std::uint64_t capability) -> const void* {
    static const lks_import_export_group* own = nullptr;
    static lks_import_export_group leaking;
    const void* const group = correct().get_group(driver, capability);
    if (!group || capability != LKS_CAP_IMPORT_EXPORT) return group;
    own = static_cast<const lks_import_export_group*>(group);
    leaking = *own;
    leaking.buffer_import = [](lks_device* device, std::uint32_t kind, std::uint64_t handle, std::uint64_t bytes,
                               lks_buffer** out, lks_diag* diag) -> lks_status {
      lose(200);
      return own->buffer_import(device, kind, handle, bytes, out, diag);
    };
    return &leaking;
  };
}

// The device opens with an allocation. If that fails, what was made before is lost.
const lks_host_api* opening_host = nullptr;
void opening_leaks(lks_driver_api& t) {
  t.driver_open = [](const lks_host_api* host, lks_driver** out, lks_diag* diag) -> lks_status {
    opening_host = host;
    return correct().driver_open(host, out, diag);
  };
  t.device_open = [](lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) -> lks_status {
    const char* const site = "mutant.device_open";
    const lks_status status = opening_host->fault_point(opening_host->host, LKS_FAULT_ALLOC, site);
    if (status == LKS_OK) return correct().device_open(driver, ordinal, out, diag);
    lose(4000);
    std::snprintf(diag->what, sizeof diag->what, "injected at %s", site);
    return diag->code = status;
  };
}

// The preparation of some kernels leaks memory.
template <bool (*Hit)(const lks_kernel_desc&)>
void leaks_kernels_where(lks_driver_api& t) {
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    if (Hit(*desc)) lose(400);
    return correct().kernel_prepare(device, desc, out, info, diag);
  };
}
bool has_long_program(const lks_kernel_desc& d) {
  return d.program_count == 1 && d.programs[0].program->instr_count > 100;
}
bool has_high_rank(const lks_kernel_desc& d) { return d.input_count > 0 && d.inputs[0].rank > 6; }

// More bytes are reported as free than exist.
void free_above_total(lks_driver_api& t) {
  t.device_memory = [](lks_driver* driver, std::uint32_t ordinal, lks_device* device, std::uint32_t heap,
                       std::uint64_t* total, std::uint64_t* free_bytes, lks_diag* diag) -> lks_status {
    const lks_status status = correct().device_memory(driver, ordinal, device, heap, total, free_bytes, diag);
    *free_bytes = *total + *total / 16;
    return status;
  };
}

void all_is_free(lks_driver_api& t) {
  t.device_memory = [](lks_driver* driver, std::uint32_t ordinal, lks_device* device, std::uint32_t heap,
                       std::uint64_t* total, std::uint64_t* free_bytes, lks_diag* diag) -> lks_status {
    const lks_status status = correct().device_memory(driver, ordinal, device, heap, total, free_bytes, diag);
    *free_bytes = *total;
    return status;
  };
}

// Without an open device, all memory of the heap is said to be none.
void closed_device_has_no_memory(lks_driver_api& t) {
  t.device_memory = [](lks_driver* driver, std::uint32_t ordinal, lks_device* device, std::uint32_t heap,
                       std::uint64_t* total, std::uint64_t* free_bytes, lks_diag* diag) -> lks_status {
    const lks_status status = correct().device_memory(driver, ordinal, device, heap, total, free_bytes, diag);
    if (status == LKS_OK && !device) *total = *free_bytes = 0;
    return status;
  };
}

// Buffers start 16 bytes after an aligned address.
void misaligned_buffers(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_alloc(device, heap, bytes + 16, out, diag);
    if (status != LKS_OK) return status;
    (*out)->data = static_cast<char*>((*out)->data) + 16;
    (*out)->bytes -= 16;
    return LKS_OK;
  };
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    buffer->data = static_cast<char*>(buffer->data) - 16;
    buffer->bytes += 16;
    correct().buffer_free(device, buffer);
  };
}

void map_ignores_offset(lks_driver_api& t) {
  t.buffer_map = [](lks_device* device, lks_buffer* buffer, std::uint64_t offset, std::uint64_t bytes, void** out,
                    lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_map(device, buffer, offset, bytes, out, diag);
    if (status == LKS_OK) *out = buffer->data;
    return status;
  };
}

// What a fault adds to a buffer.
struct Extra {
  int maps = 0;                                             // mappings that are held
  void* copy = nullptr;                                     // the memory that the host sees instead of the buffer's
  std::vector<std::pair<void*, std::uint64_t>> old_memory;  // still mapped by the host
};
std::mutex mutex;
std::map<lks_buffer*, Extra> extras;

// Mappings show a copy of the buffer. The first mapping fills it, and the end of the last one writes it back.
void map_is_a_copy(lks_driver_api& t) {
  t.buffer_map = [](lks_device* device, lks_buffer* buffer, std::uint64_t offset, std::uint64_t bytes, void** out,
                    lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_map(device, buffer, offset, bytes, out, diag);
    if (status != LKS_OK) return status;
    const std::lock_guard lock(mutex);
    Extra& extra = extras[buffer];
    if (!extra.copy) extra.copy = std::aligned_alloc(64, (buffer->bytes + 63) / 64 * 64);
    if (extra.maps++ == 0) std::memcpy(extra.copy, buffer->data, buffer->bytes);
    *out = static_cast<char*>(extra.copy) + offset;
    return LKS_OK;
  };
  t.buffer_unmap = [](lks_device*, lks_buffer* buffer) {
    const std::lock_guard lock(mutex);
    Extra& extra = extras[buffer];
    if (--extra.maps == 0) std::memcpy(buffer->data, extra.copy, buffer->bytes);
  };
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    {
      const std::lock_guard lock(mutex);
      std::free(extras[buffer].copy);
      extras.erase(buffer);
    }
    correct().buffer_free(device, buffer);
  };
}

// The end of one mapping ends the others too: the buffer moves to other memory. They still point to the old memory.
void unmap_ends_all(lks_driver_api& t) {
  t.buffer_map = [](lks_device* device, lks_buffer* buffer, std::uint64_t offset, std::uint64_t bytes, void** out,
                    lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_map(device, buffer, offset, bytes, out, diag);
    const std::lock_guard lock(mutex);
    if (status == LKS_OK) ++extras[buffer].maps;
    return status;
  };
  t.buffer_unmap = [](lks_device*, lks_buffer* buffer) {
    const std::lock_guard lock(mutex);
    Extra& extra = extras[buffer];
    if (--extra.maps == 0) return;
    void* moved = mmap(nullptr, buffer->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (moved == MAP_FAILED) return;
    std::memcpy(moved, buffer->data, buffer->bytes);
    extra.old_memory.emplace_back(buffer->data, buffer->bytes);
    buffer->data = moved;
  };
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    {
      const std::lock_guard lock(mutex);
      for (const auto& [data, bytes] : extras[buffer].old_memory) munmap(data, bytes);
      extras.erase(buffer);
    }
    correct().buffer_free(device, buffer);
  };
}

// A buffer has at most eight mappings at a time.
void eight_mappings(lks_driver_api& t) {
  t.buffer_map = [](lks_device* device, lks_buffer* buffer, std::uint64_t offset, std::uint64_t bytes, void** out,
                    lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_map(device, buffer, offset, bytes, out, diag);
    if (status != LKS_OK) return status;
    const std::lock_guard lock(mutex);
    if (extras[buffer].maps >= 8) return common::fail(diag, LKS_UNAVAILABLE, DRIVER_WHERE, "no ninth mapping");
    ++extras[buffer].maps;
    return LKS_OK;
  };
  t.buffer_unmap = [](lks_device* device, lks_buffer* buffer) {
    {
      const std::lock_guard lock(mutex);
      --extras[buffer].maps;
    }
    correct().buffer_unmap(device, buffer);
  };
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    {
      const std::lock_guard lock(mutex);
      extras.erase(buffer);
    }
    correct().buffer_free(device, buffer);
  };
}

// There are at most a thousand buffers at a time.
std::atomic<int> live_buffers{0};
void a_thousand_buffers(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
    if (status != LKS_OK || ++live_buffers <= 1000) return status;
    --live_buffers;
    correct().buffer_free(device, *out);
    common::fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no buffer is left");
    diag->requested_bytes = bytes;
    diag->free_bytes = std::uint64_t{1} << 30;
    return LKS_OUT_OF_MEMORY;
  };
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    --live_buffers;
    correct().buffer_free(device, buffer);
  };
}

// Any heap index is accepted and means heap 0.
void any_heap_accepted(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status { return correct().buffer_alloc(device, 0, bytes, out, diag); };
}

// Allocations above 32 MiB are refused, although max_allocation is larger.
void refuses_large_blocks(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    if (bytes > (std::uint64_t{32} << 20)) {
      std::snprintf(diag->what, sizeof diag->what, "no piece of that size");
      diag->requested_bytes = bytes;
      diag->free_bytes = bytes;
      return diag->code = LKS_OUT_OF_MEMORY;
    }
    return correct().buffer_alloc(device, heap, bytes, out, diag);
  };
}

void out_of_memory_without_numbers(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
    if (status == LKS_OUT_OF_MEMORY) diag->requested_bytes = diag->free_bytes = 0;
    return status;
  };
}

void out_of_memory_of_another_heap(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
    if (status == LKS_OUT_OF_MEMORY) diag->heap = 1;
    return status;
  };
}

// Out of memory is reported as LKS_INTERNAL.
void out_of_memory_is_internal(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
    return status == LKS_OUT_OF_MEMORY ? (diag->code = LKS_INTERNAL) : status;
  };
}

// Memory of the host is unmapped with its buffer, as if the driver had mapped it.
void frees_imported_memory(lks_driver_api& t) {
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    buffer->imported = false;
    correct().buffer_free(device, buffer);
  };
}

// Every eighth buffer of a thread gets the memory of the previous one, if they have the same size. Nothing is freed.
void hands_out_a_live_buffer(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    static thread_local std::uint64_t count = 0;
    static thread_local lks_buffer last{};
    const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
    if (status != LKS_OK) return status;
    if (++count % 8 == 0 && last.bytes == bytes) (*out)->data = last.data;
    last = **out;
    return LKS_OK;
  };
  t.buffer_free = [](lks_device*, lks_buffer*) {};
}

// A launch of the f32 kernel that ran last changes a bit of that launch's result, if it writes elsewhere itself.
std::set<lks_kernel*> f32_kernels;
lks_kernel* last_kernel = nullptr;
lks_binding last_result{};
void spoils_the_result_before(lks_driver_api& t) {
  t.kernel_prepare = [](lks_device* device, const lks_kernel_desc* desc, lks_kernel** out, lks_kernel_info* info,
                        lks_diag* diag) -> lks_status {
    const lks_status status = correct().kernel_prepare(device, desc, out, info, diag);
    if (status != LKS_OK) return status;
    const std::lock_guard lock(mutex);
    const bool is_f32 = desc->output_count == 1 && desc->outputs[0].dtype == LKS_F32;
    is_f32 ? void(f32_kernels.insert(*out)) : void(f32_kernels.erase(*out));
    return status;
  };
  t.queue_launch = [](lks_queue* queue, const lks_launch* launches, std::uint32_t count, std::uint64_t* value,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().queue_launch(queue, launches, count, value, diag);
    if (status != LKS_OK || count != 1) return status;
    const std::lock_guard lock(mutex);
    const lks_binding& result = launches->bindings[launches->binding_count - 1];
    const bool again = launches->kernel == last_kernel && f32_kernels.count(last_kernel);
    const bool elsewhere = result.buffer != last_result.buffer || result.offset != last_result.offset;
    if (again && elsewhere && last_result.buffer) {
      static_cast<std::uint32_t*>(last_result.buffer->data)[last_result.offset] ^= 1;
    }
    last_kernel = launches->kernel;
    last_result = result;
    return status;
  };
  t.buffer_free = [](lks_device* device, lks_buffer* buffer) {
    {
      const std::lock_guard lock(mutex);
      if (buffer == last_result.buffer) last_result.buffer = nullptr;
    }
    correct().buffer_free(device, buffer);
  };
}

constexpr TableFault faults[] = {
    {Mutant::leaks_buffers, &leaks_buffers},
    {Mutant::leaks_kernels, &leaks_kernels},
    {Mutant::leaks_after_failed_launch, &leaks_after_failed_launch},
    {Mutant::leaks_on_recovery, &leaks_on_recovery},
    {Mutant::leaks_large_transfers, &leaks_large_transfers},
    {Mutant::leaks_units, &leaks_units},
    {Mutant::leaks_on_transfer_queues, &leaks_on_transfer_queues},
    {Mutant::memory_question_leaks_a_file, &memory_question_leaks_a_file},
    {Mutant::leaks_imports, &leaks_imports},
    {Mutant::closed_device_has_no_memory, &closed_device_has_no_memory},
    {Mutant::eight_mappings, &eight_mappings},
    {Mutant::a_thousand_buffers, &a_thousand_buffers},
    {Mutant::out_of_memory_of_another_heap, &out_of_memory_of_another_heap},
    {Mutant::opening_leaks, &opening_leaks},
    {Mutant::leaks_long_programs, &leaks_kernels_where<&has_long_program>},
    {Mutant::leaks_high_ranks, &leaks_kernels_where<&has_high_rank>},
    {Mutant::free_above_total, &free_above_total},
    {Mutant::all_is_free, &all_is_free},
    {Mutant::misaligned_buffers, &misaligned_buffers},
    {Mutant::map_ignores_offset, &map_ignores_offset},
    {Mutant::map_is_a_copy, &map_is_a_copy},
    {Mutant::unmap_ends_all, &unmap_ends_all},
    {Mutant::any_heap_accepted, &any_heap_accepted},
    {Mutant::refuses_large_blocks, &refuses_large_blocks},
    {Mutant::out_of_memory_without_numbers, &out_of_memory_without_numbers},
    {Mutant::out_of_memory_is_internal, &out_of_memory_is_internal},
    {Mutant::frees_imported_memory, &frees_imported_memory},
    {Mutant::hands_out_a_live_buffer, &hands_out_a_live_buffer},
    {Mutant::spoils_the_result_before, &spoils_the_result_before},
};

}  // namespace

std::span<const TableFault> memory_faults() { return faults; }

}  // namespace mutants
