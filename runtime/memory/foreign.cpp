#include "runtime/memory/foreign.h"

#include "lockstep/error.h"
#include "lockstep/options.h"
#include "runtime/device_state.h"
#include "runtime/forked.h"
#include "runtime/host_api.h"
#include "runtime/stream_order.h"

namespace lockstep {

ForeignBlock import_host_memory(DeviceState& device, const void* data, std::uint64_t bytes,
                                std::shared_ptr<const void> owner) {
  check_not_forked();
  const lks_import_export_group* group = device.import_group();
  if (!group) return {{}, "the driver of " + device.name() + " cannot use memory of other libraries"};
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  auto block = std::make_unique<Block>();
  lks_diag diag = empty_diag();
  const lks_status status =
      group->buffer_import(device.handle(), LKS_HANDLE_HOST_POINTER, address, bytes, &block->buffer, &diag);
  if (status != LKS_OK) return {{}, "the driver of " + device.name() + " does not import the memory: " + diag.what};
  block->refs.store(1, std::memory_order_relaxed);
  block->bytes = block->requested = bytes;
  block->device = &device;
  block->home = device.home_of(device.queue());
  block->foreign = std::move(owner);
  return {BlockRef::adopt(block.release()), ""};
}

namespace {

// Commands in flight hold no reference to what they read.
void wait_for_users(const Block& block) noexcept {
  const auto wait = [](CommandQueue& queue, std::uint64_t value) {
    try {
      queue.wait_until_done(value);
    } catch (const Error& e) {
      log(LKS_LOG_WARN, "memory", e.what());  // nothing of the queue is in flight then
    }
  };
  CommandQueue& home = home_of(block);
  wait(home, home.newest());
  if (!block.uses) return;
  for (const QueueUse& use : *block.uses) wait(*use.queue, use.value);
}

}  // namespace

void free_foreign(Block* block) noexcept {
  DeviceState& device = *block->device;
  wait_for_users(*block);
  device.api().buffer_free(device.handle(), block->buffer);
  delete block;  // releases the owner
}

}  // namespace lockstep
