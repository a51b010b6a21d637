// The order between commands of different queues of a device. Within a queue, commands run in the order in which they
// are enqueued. Before a command is enqueued on one queue that uses what another one writes, or writes what another one
// uses, the host waits for the other queue.
//
// A block has a home: the queue whose commands may use it without being noted. Only a block's home writes it. Reads by
// other queues are noted in Block::uses, so that the block is not written, and its memory not reused, too early.
//
// On a device without streams there is nothing to order, and only home_of() is called (DeviceState::has_streams).
#pragma once

#include <cstdint>

#include "lockstep/call_site.h"
#include "runtime/memory/block.h"

namespace lockstep {

CommandQueue& home_of(const Block& block);

/// To be called before a command of `queue` that writes the block is enqueued. Waits until no other queue uses the
/// block, and makes `queue` its home. Throws only if a wait itself fails.
void take_over(Block& block, CommandQueue& queue, CallSite where);

/// To be called before a command of `queue` that reads the block is enqueued. If another queue writes the block, waits
/// until it has its contents, and throws the failure of that write if it has none.
void prepare_read(Block& block, CommandQueue& queue, CallSite where);

/// To be called after prepare_read() and after the command with this value was enqueued.
void note_read(Block& block, CommandQueue& queue, std::uint64_t value) noexcept;

}  // namespace lockstep
