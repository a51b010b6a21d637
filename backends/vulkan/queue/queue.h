// The ABI's queue: gpu::Queue with Vulkan as the device's side.
#pragma once

#include "backends/gpu/queue/queue.h"
#include "backends/vulkan/queue/native_queue.h"

extern template class gpu::Queue<vulkan::NativeQueue>;

struct lks_queue : gpu::Queue<vulkan::NativeQueue> {
  explicit lks_queue(lks_device& device, std::uint32_t kind = LKS_QUEUE_COMPUTE) : Queue(device, kind) {
    timeline.queue = this;
  }

  lks_queue* next_abandoned = nullptr;  // in lks_device's list of abandoned queues
};

namespace vulkan {

/// Destroys a queue; or, if close() returns false, leaves it in its device's list of abandoned queues.
void destroy_or_abandon(lks_queue* queue);

/// Runs one command on a queue of its own and waits for it. Throws Failure.
void run_and_wait(lks_device& device, const std::function<void(Command&)>& plan_command);

}  // namespace vulkan
