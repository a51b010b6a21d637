// The only exported symbol, and the table that it returns. Nothing here may touch a device: the library is also loaded
// on machines that do not have one.
#include "diag.h"
#include "table.h"

namespace {

constexpr lks_driver_api table = {
    .hdr = {sizeof(lks_driver_api), 0, nullptr},
    .abi_major = LKS_ABI_MAJOR,
    .abi_minor = LKS_ABI_MINOR,
    .name = "template",  // its devices are template:0, template:1 …
    .vendor = "your company",
    .version = "1.0",
    .build_id = "C++ " __VERSION__,
    .flags = LKS_DRIVER_UNLOADABLE,
#if defined(__SANITIZE_ADDRESS__)
    .sanitizer = LKS_SANITIZER_ADDRESS,
#elif defined(__SANITIZE_THREAD__)
    .sanitizer = LKS_SANITIZER_THREAD,
#else
    .sanitizer = LKS_SANITIZER_NONE,
#endif
    .priority = -150,  // `best` prefers GPUs, then the driver of highest priority
    .reserved = 0,
    .driver_open = &driver_open,
    .driver_close = &driver_close,
    .device_count = &device_count,
    .device_describe = &device_describe,
    .get_group = &get_group,
    .device_open = &device_open,
    .device_close = &device_close,
    .device_memory = &device_memory,
    .device_health = &device_health,
    .buffer_alloc = &buffer_alloc,
    .buffer_free = &buffer_free,
    .buffer_map = &buffer_map,
    .buffer_unmap = &buffer_unmap,
    .queue_create = &queue_create,
    .queue_destroy = &queue_destroy,
    .queue_launch = &queue_launch,
    .queue_copy = &queue_copy,
    .queue_write = &queue_write,
    .queue_read = &queue_read,
    .queue_fill = &queue_fill,
    .queue_wait = &queue_wait,
    .queue_flush = &queue_flush,
    .queue_recover = &queue_recover,
    .timeline_create = &timeline_create,
    .timeline_destroy = &timeline_destroy,
    .timeline_query = &timeline_query,
    .timeline_wait = &timeline_wait,
    .timeline_signal = &timeline_signal,
    .kernel_query = &kernel_query,
    .kernel_prepare = &kernel_prepare,
    .kernel_release = &kernel_release,
    .kernel_variant = &kernel_variant,
};

}  // namespace

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  if (host->abi_major != LKS_ABI_MAJOR) {
    return fail(diag, LKS_ABI_MISMATCH, "the runtime has ABI %u.%u, this driver needs %u.x", host->abi_major,
                host->abi_minor, LKS_ABI_MAJOR);
  }
  // An entry that is newer than ABI 1.0 may be absent: ask in the same way before each use, or refuse such hosts here.
  if (!LKS_HAS_FIELD(host, fault_point)) {
    return fail(diag, LKS_ABI_MISMATCH, "the runtime's table has %u bytes and lacks entries of ABI %u.0",
                host->hdr.size, LKS_ABI_MAJOR);
  }
  *out = &table;
  return LKS_OK;
}
