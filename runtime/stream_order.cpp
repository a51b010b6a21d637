#include "runtime/stream_order.h"

#include <algorithm>
#include <vector>

#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"

namespace lockstep {
namespace {

// The newest commands of other queues that use the block. Which commands of its home use it is not known, so the newest
// command of the home stands for them.
std::vector<QueueUse> uses_by_others(const Block& block, const CommandQueue& queue) {
  std::vector<QueueUse> others;
  if (CommandQueue& home = home_of(block); &home != &queue) others.push_back({&home, home.newest()});
  const LockGuard lock(block.device->uses_mutex());
  if (block.uses) {
    for (const QueueUse& use : *block.uses) {
      if (use.queue != &queue) others.push_back(use);
    }
  }
  return others;
}

}  // namespace

CommandQueue& home_of(const Block& block) { return block.home ? *block.home : block.device->own_queue(); }

void take_over(Block& block, CommandQueue& queue, CallSite where) {
  // Repeated if an upload into the block was enqueued again because a failure was detected, which may happen several
  // times. An upload that failed itself stays the block's last write.
  BlockWrite settled;
  do {
    settled = last_write(block);
    for (const QueueUse& use : uses_by_others(block, queue)) use.queue->settle(use.value, &where);
  } while (block.upload && last_write(block) != settled);
  const LockGuard lock(block.device->uses_mutex());
  block.home = block.device->home_of(queue);
  // Commands of the new home need not be noted.
  if (block.uses) {
    std::erase_if(*block.uses,
                  [&](const QueueUse& use) { return use.queue == &queue || use.queue->is_done(use.value); });
    if (block.uses->empty()) block.uses.reset();
  }
}

void prepare_read(Block& block, CommandQueue& queue, CallSite where) {
  if (const CommandQueue* writer = block.write_queue; writer && writer != &queue) {
    const BlockWrite write = last_write(block);
    if (write.queue && !write.queue->has_succeeded(write.value)) wait_for_contents(block, where);
  }
  if (&home_of(block) == &queue) return;
  const LockGuard lock(block.device->uses_mutex());
  if (!block.uses) block.uses = std::make_unique<std::vector<QueueUse>>();
  const auto is_own = [&](const QueueUse& use) { return use.queue == &queue; };
  if (std::none_of(block.uses->begin(), block.uses->end(), is_own)) block.uses->push_back({&queue, 0});
}

void note_read(Block& block, CommandQueue& queue, std::uint64_t value) noexcept {
  if (&home_of(block) == &queue) return;
  const LockGuard lock(block.device->uses_mutex());
  if (!block.uses) return;
  for (QueueUse& use : *block.uses) {
    if (use.queue == &queue) use.value = std::max(use.value, value);
  }
}

}  // namespace lockstep
