// The driver's table: every function of the ABI, a few lines each on top of the classes that do the work.
#include <algorithm>
#include <cstdio>

#include "backends/common/driver_table.h"
#include "backends/common/queue_kind.h"
#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/queue/queue.h"
#include "backends/vulkan/queue/transfer.h"

namespace vulkan {
namespace {

using common::fail;
using common::refuse;

const DeviceProperties& properties_at(lks_driver* driver, std::uint32_t ordinal) {
  const auto& all = driver->instance.devices();
  if (ordinal >= all.size()) raise(LKS_INVALID_ARGUMENT, DRIVER_WHERE, "there is no device %u", ordinal);
  return all[ordinal];
}

// --------------------------------------------------------------------------------------------------- driver and device

lks_status LKS_CALL driver_open(const lks_host_api* api, lks_driver** out, lks_diag* diag) {
  return guard(diag, [&] { *out = new lks_driver(*api); });
}
void LKS_CALL driver_close(lks_driver* driver) {
  if (!driver->is_abandoned) delete driver;
}

std::uint32_t LKS_CALL device_count(lks_driver* driver) {
  return static_cast<std::uint32_t>(driver->instance.devices().size());
}

lks_status LKS_CALL device_describe(lks_driver* driver, std::uint32_t ordinal, lks_device_info* info, lks_diag* diag) {
  return guard(diag, [&] {
    const DeviceProperties& properties = properties_at(driver, ordinal);
    lks_device_info full;
    std::memset(&full, 0, sizeof full);
    full.type = properties.type;
    full.capabilities = LKS_CAP_COPIES_WRITES;
    full.math_modes = properties.math_modes();
    full.max_rank = LKS_MAX_RANK;
    full.compute_units = 1;
    full.heap_count = 1;
    full.heaps[0] = {properties.heap_bytes, LKS_HEAP_DEVICE_LOCAL, 0};
    full.min_alignment = gpu::buffer_alignment;
    full.max_allocation = properties.max_allocation;
    std::copy(properties.uuid.begin(), properties.uuid.end(), full.uuid);
    std::snprintf(full.name, sizeof full.name, "%s", properties.name.c_str());
    std::snprintf(full.vendor, sizeof full.vendor, "%s", properties.vendor.c_str());
    std::snprintf(full.version, sizeof full.version, "%s", properties.version.c_str());
    if (!properties.missing.empty()) {
      full.status = LKS_UNSUPPORTED;
      std::snprintf(full.reason, sizeof full.reason, "the device lacks %s, which this driver needs",
                    properties.missing.c_str());
    }
    full.hdr = info->hdr;
    std::memcpy(info, &full, std::min<std::size_t>(info->hdr.size, sizeof full));
  });
}

const void* LKS_CALL get_group(lks_driver*, std::uint64_t) { return nullptr; }

lks_status LKS_CALL device_open(lks_driver* driver, std::uint32_t ordinal, lks_device** out, lks_diag* diag) {
  return guard(diag, [&] {
    const DeviceProperties& properties = properties_at(driver, ordinal);
    if (!properties.missing.empty())
      raise(LKS_UNSUPPORTED, DRIVER_WHERE, "%s lacks %s", properties.name.c_str(), properties.missing.c_str());
    *out = new lks_device(*driver, properties);
  });
}
void LKS_CALL device_close(lks_device* device) {
  if (!device->is_abandoned()) delete device;
}

lks_status LKS_CALL device_memory(lks_driver* driver, std::uint32_t ordinal, lks_device* device, std::uint32_t heap,
                                  std::uint64_t* total, std::uint64_t* free_bytes, lks_diag* diag) {
  return guard(diag, [&] {
    const DeviceProperties& properties = properties_at(driver, ordinal);
    if (heap != 0) raise(LKS_INVALID_ARGUMENT, DRIVER_WHERE, "there is no heap %u", heap);
    if (!device) raise(LKS_UNAVAILABLE, DRIVER_WHERE, "asking needs an open device");
    *total = properties.heap_bytes;
    *free_bytes = device->allocator.free_bytes();
  });
}

lks_status LKS_CALL device_health(lks_device* device, lks_diag* diag) { return device->health.status(diag); }

// -------------------------------------------------------------------------------------------------------------- memory

lks_status LKS_CALL buffer_alloc(lks_device* device, std::uint32_t heap, std::uint64_t bytes, lks_buffer** out,
                                 lks_diag* diag) {
  return guard(diag, [&] {
    if (heap != 0 || bytes == 0) {
      raise(LKS_INVALID_ARGUMENT, DRIVER_WHERE, "%llu bytes of heap %u", static_cast<unsigned long long>(bytes), heap);
    }
    device->check_usable();
    *out = device->buffers.allocate(bytes);
  });
}
void LKS_CALL buffer_free(lks_device* device, lks_buffer* buffer) { device->buffers.free(buffer); }

lks_status LKS_CALL buffer_map(lks_device*, lks_buffer* buffer, std::uint64_t offset, std::uint64_t bytes, void**,
                               lks_diag* diag) {
  if (offset > buffer->bytes || bytes > buffer->bytes - offset) {
    return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "the range lies outside the buffer");
  }
  return refuse(diag, LKS_REASON_HARDWARE, -1, DRIVER_WHERE, "the host cannot see this memory");
}
void LKS_CALL buffer_unmap(lks_device*, lks_buffer*) {}

// -------------------------------------------------------------------------------------------------------------- queues

lks_status LKS_CALL queue_create(lks_device* device, std::uint32_t kind, lks_queue** out, lks_timeline** timeline,
                                 lks_diag* diag) {
  if (const lks_status status = common::check_queue_kind(kind, diag); status != LKS_OK) return status;
  return guard(diag, [&] {
    device->check_usable();
    *out = new lks_queue(*device, kind);
    *timeline = &(*out)->timeline;
  });
}
void LKS_CALL queue_destroy(lks_queue* queue) { destroy_or_abandon(queue); }

lks_status LKS_CALL queue_launch(lks_queue* queue, const lks_launch* launches, std::uint32_t count,
                                 std::uint64_t* value, lks_diag* diag) {
  return guard(diag, [&] {
    if (!queue->native.runs_kernels()) {
      queue->native.check_usable();
      lks_diag refusal = empty_diag();
      refuse(&refusal, LKS_REASON_HARDWARE, -1, DRIVER_WHERE, "a transfer queue runs no kernels");
      throw Failure(refusal);
    }
    *value = queue->enqueue([&](Command& command) {
      for (std::uint32_t i = 0; i < count; ++i) {
        command.plan.begin_launch(i);
        const lks_launch& launch = LKS_ELEMENT(lks_launch, launches, i);
        launch.kernel->plan(command.plan, launch);
      }
    });
  });
}

lks_status LKS_CALL queue_copy(lks_queue* queue, lks_buffer* dst, std::uint64_t dst_offset, lks_buffer* src,
                               std::uint64_t src_offset, std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) {
  return guard(diag, [&] {
    *value = queue->enqueue(
        [&](Command& command) { plan_copy(command.plan, dst->at(dst_offset), src->at(src_offset), bytes); });
  });
}

lks_status LKS_CALL queue_write(lks_queue* queue, lks_buffer* dst, std::uint64_t offset, const void* src,
                                std::uint64_t bytes, std::uint64_t* value, lks_diag* diag) {
  return guard(diag, [&] {
    *value = queue->enqueue([&](Command& command) {
      command.staging.take_pieces(dst->at(offset), bytes,
                                  [&](const DeviceLocation& to, const Staged& staged, auto at, auto length) {
                                    std::memcpy(staged.data, static_cast<const std::byte*>(src) + at, length);
                                    plan_copy(command.plan, to, staged.location, length);
                                  });
    });
  });
}

lks_status LKS_CALL queue_read(lks_queue* queue, void* dst, lks_buffer* src, std::uint64_t offset, std::uint64_t bytes,
                               std::uint64_t* value, lks_diag* diag) {
  return guard(diag, [&] {
    *value = queue->enqueue([&](Command& command) {
      command.staging.take_pieces(src->at(offset), bytes,
                                  [&](const DeviceLocation& from, const Staged& staged, auto at, auto length) {
                                    command.host_copies.push_back(
                                        {command.plan.value(), static_cast<std::byte*>(dst) + at, staged.data, length});
                                    plan_copy(command.plan, staged.location, from, length);
                                  });
    });
  });
}

lks_status LKS_CALL queue_fill(lks_queue* queue, lks_buffer* dst, std::uint64_t offset, std::uint64_t bytes,
                               std::uint64_t pattern, std::uint32_t pattern_bytes, std::uint64_t* value,
                               lks_diag* diag) {
  return guard(diag, [&] {
    *value = queue->enqueue([&](Command& command) {
      plan_fill(command.plan, command.staging, dst->at(offset), bytes, pattern, pattern_bytes);
    });
  });
}

lks_status LKS_CALL queue_wait(lks_queue* queue, lks_timeline* timeline, std::uint64_t value, lks_diag* diag) {
  return guard(diag, [&] { queue->wait_for(*timeline, value); });
}

lks_status LKS_CALL queue_flush(lks_queue* queue, lks_diag* diag) {
  return guard(diag, [&] {
    queue->native.check_usable();
    queue->flush();
  });
}

lks_status LKS_CALL queue_recover(lks_queue* queue, std::uint64_t* last, lks_diag* diag) {
  return guard(diag, [&] { *last = queue->recover(); });
}

// ----------------------------------------------------------------------------------------------------------- timelines

lks_status LKS_CALL timeline_create(lks_device*, lks_timeline** out, lks_diag* diag) {
  return guard(diag, [&] { *out = new lks_timeline; });
}
void LKS_CALL timeline_destroy(lks_timeline* timeline) { delete timeline; }

lks_status LKS_CALL timeline_query(lks_timeline* timeline, std::uint64_t* reached, lks_diag* diag) {
  // A caller that polls is waiting for it, so recorded commands must be submitted.
  if (timeline->queue) {
    const lks_status status = guard(diag, [&] { timeline->queue->flush(); });
    if (status != LKS_OK) return status;
  }
  return timeline->query(reached, diag);
}

lks_status LKS_CALL timeline_wait(lks_timeline* timeline, std::uint64_t value, std::uint64_t timeout_ns,
                                  lks_diag* diag) {
  if (timeline->queue) {
    const lks_status status = guard(diag, [&] { timeline->queue->flush(); });
    if (status != LKS_OK) return status;
  }
  return timeline->wait(value, timeout_ns, diag);
}

lks_status LKS_CALL timeline_signal(lks_timeline* timeline, std::uint64_t value, const lks_diag* failure,
                                    lks_diag* diag) {
  if (timeline->queue) return fail(diag, LKS_INVALID_ARGUMENT, DRIVER_WHERE, "this timeline belongs to a queue");
  return timeline->signal(value, failure, diag);
}

// ------------------------------------------------------------------------------------------------------------- kernels

lks_status LKS_CALL kernel_query(lks_driver* driver, std::uint32_t ordinal, const lks_kernel_desc* desc,
                                 lks_kernel_info* info, lks_diag* diag) {
  lks_status status = LKS_OK;
  const lks_status outer = guard(diag, [&] {
    const KernelContext context{properties_at(driver, ordinal), nullptr};
    status = common::answer_from_table({kernels(), context.properties.math_modes(), &context}, driver->host, *desc,
                                       *info, nullptr, diag);
  });
  return outer != LKS_OK ? outer : status;
}

lks_status LKS_CALL kernel_prepare(lks_device* device, const lks_kernel_desc* desc, lks_kernel** out,
                                   lks_kernel_info* info, lks_diag* diag) {
  std::unique_ptr<lks_kernel> kernel;
  lks_status status = LKS_OK;
  const lks_status outer = guard(diag, [&] {
    device->check_usable();
    const KernelContext context{device->properties, device};
    status = common::answer_from_table({kernels(), device->math_modes(), &context}, device->host, *desc, *info, &kernel,
                                       diag);
  });
  if (outer != LKS_OK) return outer;
  if (status == LKS_OK) *out = kernel.release();
  return status;
}
void LKS_CALL kernel_release(lks_device*, lks_kernel* kernel) { delete kernel; }

const char* LKS_CALL kernel_variant(lks_driver*, std::uint32_t op, std::uint32_t index) {
  return common::variant_of(kernels(), op, index);
}

// The driver cannot be unloaded: Vulkan drivers leave threads and exit handlers behind.
constexpr common::DriverIdentity identity = {.name = "vulkan", .version = "1.0", .flags = 0, .priority = -50};
constexpr lks_driver_api table = DRIVER_TABLE(identity);

}  // namespace
}  // namespace vulkan

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  return common::enter(vulkan::table, host, out, diag);
}
