#include "backends/host/host_driver.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "backends/common/driver_table.h"
#include "backends/common/fill_pattern.h"
#include "backends/common/float_environment.h"
#include "backends/common/queue_kind.h"
#include "backends/common/timeline.h"

struct lks_driver {
  const lks_host_api& host;
  std::uint32_t math_modes;
};

struct lks_device {
  const lks_host_api& host;
  std::uint32_t math_modes;
};

struct lks_queue {
  lks_device* device;
  lks_timeline timeline;
};

namespace host {
namespace {

using common::fail;

const DriverTraits* traits = nullptr;  // set by enter, always to the same constant

constexpr std::uint64_t alignment = 64;
constexpr std::uint64_t huge_page = 2 * 1024 * 1024;

#define FAULT_POINT(api, kind, site)                                                               \
  if (const lks_status injected = (api).fault_point((api).host, kind, site); injected != LKS_OK) { \
    return fail(diag, injected, DRIVER_WHERE, "injected at " site);                                \
  }

// ---------------------------------------------------------------------------------------------------------- driver

std::uint64_t total_memory() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGE_SIZE));
}

lks_device_info full_description(const lks_host_api& host) {
  lks_device_info full;
  std::memset(&full, 0, sizeof full);
  full.type = LKS_DEVICE_CPU;
  full.capabilities = LKS_CAP_INLINE_QUEUE | LKS_CAP_IMPORT_EXPORT;
  full.math_modes = 1u << LKS_MODE_STRICT;
  full.max_rank = LKS_MAX_RANK;
  full.compute_units = static_cast<std::uint32_t>(sysconf(_SC_NPROCESSORS_ONLN));
  full.heap_count = 1;
  full.heaps[0] = {total_memory(), LKS_HEAP_DEVICE_LOCAL | LKS_HEAP_HOST_VISIBLE | LKS_HEAP_HOST_CACHED, 0};
  full.min_alignment = alignment;
  full.max_allocation = total_memory();
  traits->describe(host, full);
  return full;
}

lks_status no_device(std::uint32_t ordinal, lks_diag* diag) {
  return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "there is no device %u", ordinal);
}

lks_status LKS_CALL driver_open(const lks_host_api* api, lks_driver** out, lks_diag* diag) {
  if (traits->probe) {
    if (const lks_status status = traits->probe(*api, diag); status != LKS_OK) return status;
  }
  *out = new (std::nothrow) lks_driver{*api, full_description(*api).math_modes};
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory for the driver");
}

void LKS_CALL driver_close(lks_driver* driver) { delete driver; }

std::uint32_t LKS_CALL device_count(lks_driver*) { return 1; }

lks_status LKS_CALL device_describe(lks_driver* driver, std::uint32_t ordinal, lks_device_info* info, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  lks_device_info full = full_description(driver->host);
  const std::uint32_t size = info->hdr.size < sizeof full ? info->hdr.size : static_cast<std::uint32_t>(sizeof full);
  full.hdr = info->hdr;
  std::memcpy(info, &full, size);
  return LKS_OK;
}

// ---------------------------------------------------------------------------------------------------------- device

lks_status LKS_CALL device_open(lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  *out = new (std::nothrow) lks_device{driver->host, driver->math_modes};
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory for the device");
}

void LKS_CALL device_close(lks_device* device) { delete device; }

std::uint64_t available_memory() {
  std::uint64_t kib = 0;
  if (std::FILE* file = std::fopen("/proc/meminfo", "r")) {
    char line[128];
    while (std::fgets(line, sizeof line, file)) {
      unsigned long long value = 0;
      if (std::sscanf(line, "MemAvailable: %llu kB", &value) == 1) kib = value;
    }
    std::fclose(file);
  }
  return kib * 1024;
}

lks_status LKS_CALL device_memory(lks_driver*, std::uint32_t ordinal, lks_device*, std::uint32_t heap,
                                  std::uint64_t* total, std::uint64_t* free_bytes, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  if (heap != 0) return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "there is no heap %u", heap);
  *total = total_memory();
  *free_bytes = available_memory();
  return LKS_OK;
}

lks_status LKS_CALL device_health(lks_device*, lks_diag*) { return LKS_OK; }

// ---------------------------------------------------------------------------------------------------------- memory

lks_status LKS_CALL buffer_alloc(lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                                 lks_diag* diag) {
  if (heap != 0 || bytes == 0) {
    return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "%llu bytes of heap %u",
                static_cast<unsigned long long>(bytes), heap);
  }
  FAULT_POINT(device->host, LKS_FAULT_ALLOC, "host.buffer_alloc");
  // Linux overcommits memory. Requests that cannot fit are refused here, so that the OOM killer does not end the
  // process later.
  const std::uint64_t available = available_memory();
  void* data = bytes <= available ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                  : MAP_FAILED;
  auto* buffer = data != MAP_FAILED ? new (std::nothrow) lks_buffer{data, bytes} : nullptr;
  if (!buffer) {
    if (data != MAP_FAILED) munmap(data, bytes);
    fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "the system gives no %llu bytes",
         static_cast<unsigned long long>(bytes));
    diag->native_code = errno;
    diag->requested_bytes = bytes;
    diag->free_bytes = available;
    return LKS_OUT_OF_MEMORY;
  }
  if (bytes >= huge_page) madvise(data, bytes, MADV_HUGEPAGE);
  *out = buffer;
  return LKS_OK;
}

void LKS_CALL buffer_free(lks_device*, lks_buffer* buffer) {
  if (!buffer->imported) munmap(buffer->data, buffer->bytes);
  delete buffer;
}

// Kernels read no byte outside their operands, so any memory will do.
lks_status LKS_CALL buffer_import(lks_device*, std::uint32_t kind, std::uint64_t handle, std::uint64_t bytes,
                                  lks_buffer** out, lks_diag* diag) {
  if (kind != LKS_HANDLE_HOST_POINTER) {
    return common::refuse(diag, LKS_REASON_EXTENSION, -1, DRIVER_WHERE, "handles of kind %u are not imported", kind);
  }
  if (handle == 0 || handle % alignment != 0 || bytes == 0) {
    return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "%llu bytes at address %#llx",
                static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(handle));
  }
  *out = new (std::nothrow) lks_buffer{reinterpret_cast<void*>(static_cast<std::uintptr_t>(handle)), bytes, true};
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory for a buffer");
}

lks_status LKS_CALL buffer_map(lks_device* device, lks_buffer* buffer, std::uint64_t offset, std::uint64_t bytes,
                               void** out, lks_diag* diag) {
  if (offset > buffer->bytes || bytes > buffer->bytes - offset) {
    return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "the range lies outside the buffer");
  }
  FAULT_POINT(device->host, LKS_FAULT_MAP, "host.buffer_map");
  *out = static_cast<char*>(buffer->data) + offset;
  return LKS_OK;
}

void LKS_CALL buffer_unmap(lks_device*, lks_buffer*) {}

// ---------------------------------------------------------------------------------------------------------- queues

lks_status LKS_CALL queue_create(lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                                 lks_diag* diag) {
  if (const lks_status status = common::check_queue_kind(kind, diag); status != LKS_OK) return status;
  auto* queue = new (std::nothrow) lks_queue{device, {}};
  if (!queue) return fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory for a queue");
  queue->timeline.of_inline_queue = true;
  *out = queue;
  *timeline = &queue->timeline;
  return LKS_OK;
}

void LKS_CALL queue_destroy(lks_queue* queue) { delete queue; }

lks_status run(const lks_launch& launch, lks_diag* diag) {
  if (const lks_status status = launch.kernel->check(launch, diag); status != LKS_OK) return status;
  try {
    launch.kernel->run(launch);
    return LKS_OK;
  } catch (const std::bad_alloc&) {
    return fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory while a kernel ran");
  } catch (const std::exception& e) {
    return fail(diag, LKS_INTERNAL, DRIVER_WHERE, "a kernel failed: %s", e.what());
  }
}

lks_status LKS_CALL queue_launch(lks_queue* queue, const lks_launch* launches, std::uint32_t count,
                                 std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device->host, LKS_FAULT_SUBMIT, "host.queue_launch");
  const common::FloatEnvironment environment;
  const lks_launch* launch = launches;
  for (std::uint32_t i = 0; i < count; ++i, launch = &LKS_ELEMENT(lks_launch, launch, 1)) {
    if (const lks_status status = run(*launch, diag); status != LKS_OK) {
      common::set_launch(diag, i);
      return status;
    }
  }
  *value = 0;
  return LKS_OK;
}

lks_status LKS_CALL queue_copy(lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                               std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device->host, LKS_FAULT_SUBMIT, "host.queue_copy");
  std::memcpy(static_cast<char*>(dst->data) + dst_offset, static_cast<char*>(src->data) + src_offset, bytes);
  *value = 0;
  return LKS_OK;
}

lks_status LKS_CALL queue_write(lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src,
                                std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device->host, LKS_FAULT_SUBMIT, "host.queue_write");
  std::memcpy(static_cast<char*>(dst->data) + offset, src, bytes);
  *value = 0;
  return LKS_OK;
}

lks_status LKS_CALL queue_read(lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                               std::uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device->host, LKS_FAULT_SUBMIT, "host.queue_read");
  std::memcpy(dst, static_cast<char*>(src->data) + offset, bytes);
  *value = 0;
  return LKS_OK;
}

struct FillJob {
  char* data;
  std::uint64_t pattern;  // the pattern repeated to eight bytes
  std::uint64_t bytes;
};

void LKS_CALL fill_range(void* arg, std::int64_t begin, std::int64_t end) {
  const auto& job = *static_cast<const FillJob*>(arg);
  char* at = job.data + begin * 8;
  const std::uint64_t first = static_cast<std::uint64_t>(begin) * 8, last = static_cast<std::uint64_t>(end) * 8;
  const std::uint64_t bytes = (last < job.bytes ? last : job.bytes) - first, rest = bytes % 8;
  const auto byte = static_cast<unsigned char>(job.pattern);
  if (job.pattern == byte * 0x0101010101010101u) {
    std::memset(at, byte, bytes);
    return;
  }
  for (std::uint64_t i = 0; i < bytes / 8; ++i) std::memcpy(at + i * 8, &job.pattern, 8);
  std::memcpy(at + bytes - rest, &job.pattern, rest);
}

lks_status LKS_CALL queue_fill(lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes,
                               std::uint64_t pattern, std::uint32_t pattern_bytes, std::uint64_t* value,
                               lks_diag* diag) {
  FAULT_POINT(queue->device->host, LKS_FAULT_SUBMIT, "host.queue_fill");
  FillJob job{static_cast<char*>(dst->data) + offset, common::repeated_pattern(pattern, pattern_bytes), bytes};
  const lks_host_api& api = queue->device->host;
  api.parallel_for(api.host, static_cast<std::int64_t>((bytes + 7) / 8), 1 << 16, &fill_range, &job);
  *value = 0;
  return LKS_OK;
}

// Commands of an inline queue run before their call returns, so this call itself blocks.
lks_status LKS_CALL queue_wait(lks_queue*, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) {
  const lks_status status = timeline->wait(value, ~std::uint64_t{0}, diag);
  if (status != LKS_OK) common::clear_launch(diag);
  return status;
}

lks_status LKS_CALL queue_flush(lks_queue*, lks_diag*) { return LKS_OK; }

lks_status LKS_CALL queue_recover(lks_queue*, std::uint64_t* last, lks_diag*) {
  *last = 0;
  return LKS_OK;
}

// ------------------------------------------------------------------------------------------------------- timelines

lks_status LKS_CALL timeline_create(lks_device*, lks_timeline** out, lks_diag* diag) {
  *out = new (std::nothrow) lks_timeline;
  return *out ? LKS_OK : fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory for a timeline");
}

void LKS_CALL timeline_destroy(lks_timeline* timeline) { delete timeline; }

lks_status LKS_CALL timeline_query(lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) {
  return timeline->query(reached, diag);
}

lks_status LKS_CALL timeline_wait(lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                                  lks_diag* diag) {
  return timeline->wait(value, timeout_ns, diag);
}

lks_status LKS_CALL timeline_signal(lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                                    lks_diag* diag) {
  return timeline->signal(value, failure, diag);
}

// ---------------------------------------------------------------------------------------------------------- groups

const void* LKS_CALL get_group(lks_driver*, std::uint64_t capability) {
  static constexpr lks_import_export_group import_export{{sizeof(lks_import_export_group), 0, nullptr}, &buffer_import};
  return capability == LKS_CAP_IMPORT_EXPORT ? &import_export : nullptr;
}

// --------------------------------------------------------------------------------------------------------- kernels

lks_status LKS_CALL kernel_query(lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc,
                                 lks_kernel_info* info, lks_diag* diag) {
  if (ordinal != 0) return no_device(ordinal, diag);
  return common::answer_from_table({traits->kernels(), driver->math_modes}, driver->host, *desc, *info, nullptr, diag);
}

lks_status LKS_CALL kernel_prepare(lks_device* device, const lks_kernel_desc* desc, lks_kernel** out,
                                   lks_kernel_info* info, lks_diag* diag) {
  FAULT_POINT(device->host, LKS_FAULT_COMPILE, "host.kernel_prepare");
  std::unique_ptr<lks_kernel> kernel;
  const lks_status status =
      common::answer_from_table({traits->kernels(), device->math_modes}, device->host, *desc, *info, &kernel, diag);
  if (status == LKS_OK) *out = kernel.release();
  return status;
}

void LKS_CALL kernel_release(lks_device*, lks_kernel* kernel) { delete kernel; }

const char* LKS_CALL kernel_variant(lks_driver*, std::uint32_t op, std::uint32_t index) {
  return common::variant_of(traits->kernels(), op, index);
}

}  // namespace

lks_status enter(const DriverTraits& given, const lks_host_api* api, const lks_driver_api** out, lks_diag* diag) {
  traits = &given;
  static const lks_driver_api table = DRIVER_TABLE(given.identity);
  return common::enter(table, api, out, diag);
}

}  // namespace host
