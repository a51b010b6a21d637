#include "backends/vulkan/queue/native_queue.h"

#include <algorithm>

namespace vulkan {

NativeQueue::NativeQueue(lks_device& d, std::uint32_t kind)
    : device(d), kind_(kind), params_(d.params), staging_(d.staging) {
  // In the memory of parameters: every workgroup of every dispatch reads it, the host only once per batch.
  state_allocation_ =
      device.allocator.make(device.properties.params_memory_type, sizeof(gpu::State), true, "vulkan.queue_state");
  state_ = new (state_allocation_.mapped) gpu::State;
  const VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, nullptr,
                                       VK_SEMAPHORE_TYPE_TIMELINE, 0};
  const VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type, 0};
  const VkResult result = device.vk.vkCreateSemaphore(device.handle, &info, nullptr, &done_);
  if (result != VK_SUCCESS) device.allocator.free(state_allocation_);
  check(result, "vkCreateSemaphore", DRIVER_WHERE);
  command_.emplace(device, params_, staging_, state_allocation_.address, !runs_kernels());
}

NativeQueue::~NativeQueue() {
  device.vk.vkDestroySemaphore(device.handle, done_, nullptr);
  device.allocator.free(state_allocation_);
}

// Recording allocates from the command pool.
void NativeQueue::check_recording() { GPU_FAULT_POINT(device.host, LKS_FAULT_ALLOC, "vulkan.record_alloc"); }

void NativeQueue::submit(Batch& batch, std::uint64_t serial) {
  batch.end();
  VkTimelineSemaphoreSubmitInfo signal{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
  signal.signalSemaphoreValueCount = 1;
  signal.pSignalSemaphoreValues = &serial;
  VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO, &signal};
  const VkCommandBuffer commands = batch.commands();
  info.commandBufferCount = 1;
  info.pCommandBuffers = &commands;
  info.signalSemaphoreCount = 1;
  info.pSignalSemaphores = &done_;
  device.submit(info, kind_);
}

VkResult NativeQueue::wait_for_semaphore(std::uint64_t serial, std::uint64_t timeout_ns) {
  const VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, nullptr, 0, 1, &done_, &serial};
  return device.vk.vkWaitSemaphores(device.handle, &info, timeout_ns);
}

bool NativeQueue::wait(std::uint64_t serial, std::uint64_t timeout_ns) {
  GPU_FAULT_POINT(device.host, LKS_FAULT_WAIT, "vulkan.wait");
  const VkResult result = wait_for_semaphore(serial, timeout_ns);
  check(result, "vkWaitSemaphores", DRIVER_WHERE);
  return result != VK_TIMEOUT;
}

// If the Vulkan driver reports the device as lost, nothing is still running.
bool NativeQueue::is_still_running(std::uint64_t serial) {
  constexpr std::uint64_t second = 1'000'000'000;
  const std::uint64_t timeout = device.is_abandoned() ? 0 : std::min(second, device.time_limit.ns);
  return wait_for_semaphore(serial, timeout) == VK_TIMEOUT;
}

}  // namespace vulkan
