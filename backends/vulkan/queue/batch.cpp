#include "backends/vulkan/queue/batch.h"

#include <algorithm>
#include <cstddef>

namespace vulkan {
namespace {

constexpr std::size_t max_accesses = 64;  // with more, a barrier is cheaper than comparing them

}  // namespace

Batch::Batch(lks_device& device, bool by_commands) : device_(device), by_commands_(by_commands) {
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
  pool.queueFamilyIndex = by_commands ? device.properties.transfer_family : device.properties.compute_family;
  VULKAN_CHECK(device_.vk.vkCreateCommandPool(device_.handle, &pool, nullptr, &pool_));
  VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool_,
                                   VK_COMMAND_BUFFER_LEVEL_PRIMARY, 1};
  const VkResult result = device_.vk.vkAllocateCommandBuffers(device_.handle, &info, &commands_);
  if (result != VK_SUCCESS) device_.vk.vkDestroyCommandPool(device_.handle, pool_, nullptr);
  check(result, "vkAllocateCommandBuffers", DRIVER_WHERE);
}

Batch::~Batch() { device_.vk.vkDestroyCommandPool(device_.handle, pool_, nullptr); }

void Batch::begin() {
  VkCommandBufferBeginInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  info.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  VULKAN_CHECK(device_.vk.vkBeginCommandBuffer(commands_, &info));
  // The previous batch may still be running when this one starts.
  barrier();
}

bool Batch::conflicts(std::span<const Access> accesses) const {
  for (const Access& a : accesses) {
    for (const Access& b : since_barrier_) {
      if ((a.write || b.write) && a.begin < b.end && b.begin < a.end) return true;
    }
  }
  return false;
}

void Batch::barrier_to(VkPipelineStageFlags stage, VkAccessFlags accesses) {
  VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  memory.srcAccessMask = by_commands_ ? VK_ACCESS_TRANSFER_WRITE_BIT : VK_ACCESS_SHADER_WRITE_BIT;
  memory.dstAccessMask = accesses;
  const VkPipelineStageFlags own = by_commands_ ? VK_PIPELINE_STAGE_TRANSFER_BIT : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
  device_.vk.vkCmdPipelineBarrier(commands_, own, stage, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

void Batch::barrier() {
  if (by_commands_) {
    barrier_to(VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
  } else {
    barrier_to(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
  }
  since_barrier_.clear();
}

void Batch::order(std::span<const Access> accesses, bool after_all) {
  if (after_all || since_barrier_.size() + accesses.size() > max_accesses || conflicts(accesses)) barrier();
  since_barrier_.insert(since_barrier_.end(), accesses.begin(), accesses.end());
}

void Batch::make_room(const Command& command) {
  BatchContents::make_room(command);
  std::size_t most = max_accesses;
  for (const Dispatch& d : command.plan.dispatches()) most = std::max<std::size_t>(most, d.access_count);
  since_barrier_.reserve(most);
}

void Batch::record(Command& command, std::uint64_t value) {
  take_over(command, value);
  for (const Dispatch& d : command.plan.dispatches()) {
    // Every dispatch reads the queue's state: those before a check must not see its result, those after it must.
    order(command.plan.accesses(d), d.checks || state_written_);
    record(d);
    state_written_ = d.checks;
  }
  for (const Transfer& t : command.plan.transfers()) record(t);
}

void Batch::record(const Dispatch& d) {
  if (d.pipeline->handle != bound_) {
    bound_ = d.pipeline->handle;
    device_.vk.vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, bound_);
  }
  const auto bytes = static_cast<std::uint32_t>(offsetof(Push, words) + 8 * d.pushed_words);
  device_.vk.vkCmdPushConstants(commands_, device_.pipelines.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, bytes, &d.push);
  device_.vk.vkCmdDispatch(commands_, d.groups.x, d.groups.y, d.groups.z);
}

void Batch::record(const Transfer& t) {
  const Access accesses[] = {{t.to.address, t.to.address + t.bytes, true},
                             {t.from.address, t.from.address + (t.from.buffer ? t.bytes : 0), false}};
  order(accesses, false);
  if (t.from.buffer) {
    const VkBufferCopy region{t.from.offset, t.to.offset, t.bytes};
    device_.vk.vkCmdCopyBuffer(commands_, t.from.buffer, t.to.buffer, 1, &region);
  } else {
    device_.vk.vkCmdFillBuffer(commands_, t.to.buffer, t.to.offset, t.bytes, t.word);
  }
}

void Batch::end() {
  barrier_to(VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
  VULKAN_CHECK(device_.vk.vkEndCommandBuffer(commands_));
}

void Batch::reset() {
  device_.vk.vkResetCommandPool(device_.handle, pool_, 0);
  clear();
  since_barrier_.clear();
  state_written_ = false;
  bound_ = VK_NULL_HANDLE;
}

}  // namespace vulkan
