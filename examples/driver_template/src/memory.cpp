// Raw blocks of device memory. The host caches and suballocates them, so these functions are called rarely and with
// large sizes.
#include <cstdlib>
#include <new>

#include "objects.h"
#include "table.h"

namespace {

// Reserves the bytes, unless fewer are free on the device.
bool reserve(lks_device& device, std::uint64_t bytes) {
  std::uint64_t used = device.used_bytes;
  do {
    if (bytes > device_bytes - used) return false;
  } while (!device.used_bytes.compare_exchange_weak(used, used + bytes));
  return true;
}

lks_status out_of_memory(lks_device& device, std::uint64_t bytes, lks_diag* diag) {
  const std::uint64_t left = device_bytes - device.used_bytes;
  fail(diag, LKS_OUT_OF_MEMORY, "%llu bytes were asked for, %llu are free", static_cast<unsigned long long>(bytes),
       static_cast<unsigned long long>(left));
  diag->requested_bytes = bytes;
  diag->free_bytes = left;
  return LKS_OUT_OF_MEMORY;
}

}  // namespace

lks_status LKS_CALL buffer_alloc(lks_device* device, uint32_t heap, uint64_t bytes, lks_buffer** out, lks_diag* diag) {
  if (heap != 0 || bytes == 0) {
    return fail(diag, LKS_INVALID_ARGUMENT, "%llu bytes of heap %u", static_cast<unsigned long long>(bytes), heap);
  }
  FAULT_POINT(device->driver.host, LKS_FAULT_ALLOC, "template.buffer_alloc");
  if (!reserve(*device, bytes)) return out_of_memory(*device, bytes, diag);
  // Replace this with the native allocation.
  const std::uint64_t whole = (bytes + buffer_alignment - 1) / buffer_alignment * buffer_alignment;
  auto* memory = static_cast<char*>(std::aligned_alloc(buffer_alignment, whole));
  auto* buffer = memory ? new (std::nothrow) lks_buffer{memory, bytes} : nullptr;
  if (!buffer) {
    std::free(memory);
    device->used_bytes -= bytes;
    return out_of_memory(*device, bytes, diag);
  }
  *out = buffer;
  return LKS_OK;
}

void LKS_CALL buffer_free(lks_device* device, lks_buffer* buffer) {
  device->used_bytes -= buffer->bytes;
  std::free(buffer->memory);
  delete buffer;
}

// If the host cannot access the memory, return LKS_UNSUPPORTED here and do not set LKS_HEAP_HOST_VISIBLE for the heap.
lks_status LKS_CALL buffer_map(lks_device* device, lks_buffer* buffer, uint64_t offset, uint64_t bytes, void** out,
                               lks_diag* diag) {
  if (offset > buffer->bytes || bytes > buffer->bytes - offset) {
    return fail(diag, LKS_INVALID_ARGUMENT, "bytes %llu to %llu of a buffer of %llu",
                static_cast<unsigned long long>(offset), static_cast<unsigned long long>(offset + bytes),
                static_cast<unsigned long long>(buffer->bytes));
  }
  FAULT_POINT(device->driver.host, LKS_FAULT_MAP, "template.buffer_map");
  *out = buffer->memory + offset;
  return LKS_OK;
}

void LKS_CALL buffer_unmap(lks_device*, lks_buffer*) {}
