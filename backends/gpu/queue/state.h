// A queue's failure state, in memory that kernels and the host share. Every kernel reads it first and does nothing if a
// command has failed. So commands after a failed one are skipped, whenever they were submitted.
#pragma once

#include <cstdint>

#include "backends/common/diag.h"

namespace gpu {

/// Kernels have the same layout (vulkan/shaders/common.glsl).
struct State {
  std::uint32_t failed = 0;  // 1: an index is out of range; the other fields say which
  std::int32_t axis = 0;
  std::uint64_t value = 0;    // of the command, on the queue's timeline
  std::int64_t index = 0;     // the index itself
  std::int64_t position = 0;  // where in the tensor of indices, row-major
  std::int64_t extent = 0;    // the index must be less than this
  std::uint32_t launch = 0;   // of the command: its number in the queue_launch
};

/// What the timeline reports about the failed command.
inline lks_diag failure_in(const State& state) {
  lks_diag diag = common::empty_diag();
  common::fail_index(&diag, DRIVER_WHERE, state.index, state.position, state.axis, state.extent);
  common::set_launch(&diag, state.launch);
  return diag;
}

}  // namespace gpu
