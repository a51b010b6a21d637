// Blocks over host memory that somebody else owns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/memory/block.h"

namespace lockstep {

/// A block, or the reason why there is none.
struct ForeignBlock {
  BlockRef block;
  std::string refusal;
};

/// A block of `device` over [data, data + bytes) without a copy, if the driver can import host memory. `data` is a
/// multiple of the device's min_alignment. Nothing writes the block. The memory is not part of the device's statistics
/// and limit. `owner` is released after the last reference to the block is gone, all commands of the device that may
/// use it are done, and the driver has freed its buffer. Dropping the last reference waits for that: for all that is
/// enqueued on the stream that imported the memory, and on others for the commands that read it.
ForeignBlock import_host_memory(DeviceState& device, const void* data, std::uint64_t bytes,
                                std::shared_ptr<const void> owner);

/// Frees such a block after its last reference was dropped.
void free_foreign(Block* block) noexcept;

}  // namespace lockstep
