// Queues. This one does each command before it returns; a queue of hardware would record the command, return the
// timeline's next value, and advance the timeline when the device is done. A command that fails late then fails the
// timeline at its value, and what follows is skipped until queue_recover.
#include <cstring>
#include <exception>
#include <new>

#include "float_environment.h"
#include "objects.h"
#include "table.h"

lks_status LKS_CALL queue_create(lks_device* device, uint32_t, lks_queue** out, lks_timeline** timeline,
                                 lks_diag* diag) {
  auto* queue = new (std::nothrow) lks_queue(*device);
  if (!queue) return fail(diag, LKS_OUT_OF_MEMORY, "no host memory for a queue");
  *out = queue;
  *timeline = &queue->timeline;
  return LKS_OK;
}

void LKS_CALL queue_destroy(lks_queue* queue) { delete queue; }

lks_status LKS_CALL queue_launch(lks_queue* queue, const lks_launch* launches, uint32_t count, uint64_t* value,
                                 lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_launch");
  [[maybe_unused]] const FloatEnvironment environment;
  for (uint32_t i = 0; i < count; ++i) {
    const lks_launch& launch = launches[i];
    if (const lks_status status = launch.kernel->check(launch, diag); status != LKS_OK) return status;
    try {
      launch.kernel->run(launch);
    } catch (const std::bad_alloc&) {
      return fail(diag, LKS_OUT_OF_MEMORY, "no host memory while a kernel ran");
    } catch (const std::exception& e) {
      return fail(diag, LKS_INTERNAL, "a kernel failed: %s", e.what());
    }
  }
  *value = queue->completed();
  return LKS_OK;
}

lks_status LKS_CALL queue_copy(lks_queue* queue, lks_buffer* dst, uint64_t dst_offset, lks_buffer* src,
                               uint64_t src_offset, uint64_t bytes, uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_copy");
  std::memcpy(dst->memory + dst_offset, src->memory + src_offset, bytes);
  *value = queue->completed();
  return LKS_OK;
}

lks_status LKS_CALL queue_write(lks_queue* queue, lks_buffer* dst, uint64_t offset, const void* src, uint64_t bytes,
                                uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_write");
  std::memcpy(dst->memory + offset, src, bytes);
  *value = queue->completed();
  return LKS_OK;
}

lks_status LKS_CALL queue_read(lks_queue* queue, void* dst, lks_buffer* src, uint64_t offset, uint64_t bytes,
                               uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_read");
  std::memcpy(dst, src->memory + offset, bytes);
  *value = queue->completed();
  return LKS_OK;
}

lks_status LKS_CALL queue_fill(lks_queue* queue, lks_buffer* dst, uint64_t offset, uint64_t bytes, uint64_t pattern,
                               uint32_t pattern_bytes, uint64_t* value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_SUBMIT, "template.queue_fill");
  for (uint64_t at = 0; at < bytes; at += pattern_bytes) {
    std::memcpy(dst->memory + offset + at, &pattern, pattern_bytes);  // the low bytes: little-endian
  }
  *value = queue->completed();
  return LKS_OK;
}

// As commands are done at once, the queue waits at once.
lks_status LKS_CALL queue_wait(lks_queue* queue, lks_timeline* timeline, uint64_t value, lks_diag* diag) {
  FAULT_POINT(queue->device.driver.host, LKS_FAULT_WAIT, "template.queue_wait");
  return timeline_wait(timeline, value, ~uint64_t{0}, diag);
}

lks_status LKS_CALL queue_flush(lks_queue*, lks_diag*) { return LKS_OK; }

// A command of this queue fails in its own call, so the queue itself never does. A queue of hardware would wait here
// until nothing of it is on the device any more, and let its timeline stand at *last as if all had been done.
lks_status LKS_CALL queue_recover(lks_queue* queue, uint64_t* last, lks_diag*) {
  std::lock_guard lock(queue->timeline.mutex);
  *last = queue->timeline.reached;
  return LKS_OK;
}
