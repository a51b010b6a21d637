#include "backends/vulkan/device/device.h"

#include "backends/vulkan/queue/queue.h"

namespace vulkan {

DeviceHandle::DeviceHandle(const DeviceProperties& properties) {
  const float priorities[] = {1, 1};
  const VkDeviceQueueCreateInfo queues[] = {
      {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, nullptr, 0, properties.compute_family, properties.queue_count,
       priorities},
      {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, nullptr, 0, properties.transfer_family, 1, priorities}};
  const Features features({.f64 = properties.has_f64,
                           .bfloat_matrices = properties.has_bfloat_matrices,
                           .subgroup_sizes = properties.required_subgroup_size != 0});
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features.all};
  info.queueCreateInfoCount = properties.has_copy_engine() ? 2 : 1;
  info.pQueueCreateInfos = queues;
  const std::vector<const char*> names = extensions_of(properties);
  info.enabledExtensionCount = static_cast<std::uint32_t>(names.size());
  info.ppEnabledExtensionNames = names.data();
  VULKAN_CHECK(vkCreateDevice(properties.handle, &info, nullptr, &handle));
  volkLoadDeviceTable(&vk, handle);
}

DeviceHandle::~DeviceHandle() { vk.vkDestroyDevice(handle, nullptr); }

}  // namespace vulkan

using namespace vulkan;

lks_device::lks_device(lks_driver& d, const DeviceProperties& f)
    : driver(d),
      host(d.host),
      properties(f),
      owner_(f),
      handle(owner_.handle),
      vk(owner_.vk),
      allocator(host, properties, handle, vk),
      buffers(properties, allocator),
      staging(allocator.source(properties.staging_memory_type, true, "vulkan.staging_alloc")),
      params(allocator.source(properties.params_memory_type, true, "vulkan.params_alloc")),
      disk_cache(host, "vulkan"),
      pipelines(host, properties, disk_cache, handle, vk) {
  const gpu::TimeLimit wanted = gpu::TimeLimit::from(host, "vulkan.timeout");
  vk.vkGetDeviceQueue(handle, properties.compute_family, 0, &compute_queue_.handle);
  if (properties.has_copy_engine() || properties.queue_count > 1) {
    vk.vkGetDeviceQueue(handle, properties.transfer_family, properties.has_copy_engine() ? 0 : 1,
                        &transfer_queue_.handle);
  }
  arithmetic = test_arithmetic(*this);
  time_limit = wanted;
}

std::uint32_t lks_device::math_modes() const {
  return arithmetic.keeps_denormals ? properties.math_modes() : properties.math_modes() & ~(1u << LKS_MODE_LOCKSTEP);
}

lks_device::SharedQueue& lks_device::shared_queue(std::uint32_t kind) {
  return kind == LKS_QUEUE_TRANSFER && transfer_queue_.handle ? transfer_queue_ : compute_queue_;
}

void lks_device::submit(const VkSubmitInfo& info, std::uint32_t kind) {
  GPU_FAULT_POINT(host, LKS_FAULT_SUBMIT, "vulkan.submit");
  SharedQueue& queue = shared_queue(kind);
  const lockstep::LockGuard lock(queue.mutex);
  VULKAN_CHECK(vk.vkQueueSubmit(queue.handle, 1, &info, VK_NULL_HANDLE));
}

void lks_device::check_usable() {
  health.check();
  if (!driver.instance.has_validation_message()) return;
  if (const std::string text = driver.instance.take_validation_message(); !text.empty()) {
    raise(LKS_INTERNAL, DRIVER_WHERE, "the validation layer says: %s", text.c_str());
  }
}

void lks_device::note_progress(std::uint32_t kind) {
  shared_queue(kind).last_progress = Clock::now().time_since_epoch().count();
}

lks_device::Clock::time_point lks_device::last_progress(std::uint32_t kind) {
  return Clock::time_point(Clock::duration(shared_queue(kind).last_progress));
}

void lks_device::mark_timed_out(const lks_diag& cause) {
  allocator.defer_frees();
  health.note_lost(cause);
}

void lks_device::abandon(lks_queue& queue) {
  static lockstep::Mutex mutex;
  static lks_device* all LOCKSTEP_GUARDED_BY(mutex) = nullptr;
  const lockstep::LockGuard lock(mutex);
  if (!is_abandoned()) {
    next_abandoned_ = all;
    all = this;
  }
  queue.next_abandoned = abandoned_queues_.load();
  abandoned_queues_ = &queue;
  driver.is_abandoned = true;
}
