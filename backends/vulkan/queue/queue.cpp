#include "backends/vulkan/queue/queue.h"

#include "backends/gpu/queue/queue_body.h"

template class gpu::Queue<vulkan::NativeQueue>;

namespace vulkan {

void NativeQueue::flush(lks_queue& queue) { queue.flush(); }

void destroy_or_abandon(lks_queue* queue) {
  if (queue->close()) {
    delete queue;
  } else {
    queue->native.device.abandon(*queue);
  }
}

void run_and_wait(lks_device& device, const std::function<void(Command&)>& plan_command) {
  const std::unique_ptr<lks_queue, void (*)(lks_queue*)> queue(new lks_queue(device), &destroy_or_abandon);
  const std::uint64_t value = queue->enqueue(plan_command);
  queue->flush();
  lks_diag diag = empty_diag();
  if (queue->timeline.wait(value, gpu::forever, &diag) != LKS_OK) throw Failure(diag);
}

}  // namespace vulkan
