// Faults in memory management: buffers, maps, leaks, numbers of free bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>

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

// Out of memory is reported as LKS_INTERNAL.
void out_of_memory_is_internal(lks_driver_api& t) {
  t.buffer_alloc = [](lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                      lks_diag* diag) -> lks_status {
    const lks_status status = correct().buffer_alloc(device, heap, bytes, out, diag);
    return status == LKS_OUT_OF_MEMORY ? (diag->code = LKS_INTERNAL) : status;
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

constexpr TableFault faults[] = {
    {Mutant::leaks_buffers, &leaks_buffers},
    {Mutant::leaks_kernels, &leaks_kernels},
    {Mutant::leaks_after_failed_launch, &leaks_after_failed_launch},
    {Mutant::leaks_on_recovery, &leaks_on_recovery},
    {Mutant::leaks_long_programs, &leaks_kernels_where<&has_long_program>},
    {Mutant::leaks_high_ranks, &leaks_kernels_where<&has_high_rank>},
    {Mutant::free_above_total, &free_above_total},
    {Mutant::all_is_free, &all_is_free},
    {Mutant::misaligned_buffers, &misaligned_buffers},
    {Mutant::map_ignores_offset, &map_ignores_offset},
    {Mutant::any_heap_accepted, &any_heap_accepted},
    {Mutant::refuses_large_blocks, &refuses_large_blocks},
    {Mutant::out_of_memory_without_numbers, &out_of_memory_without_numbers},
    {Mutant::out_of_memory_is_internal, &out_of_memory_is_internal},
    {Mutant::hands_out_a_live_buffer, &hands_out_a_live_buffer},
};

}  // namespace

std::span<const TableFault> memory_faults() { return faults; }

}  // namespace mutants
