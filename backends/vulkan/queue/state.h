// What shaders of a queue tell its host side, in memory that both see. Every shader looks at it first and does nothing
// once it says that a command has failed: so commands after a failed one are skipped, whenever they were submitted.
#pragma once

#include <cstdint>

namespace vulkan {

/// Laid out as in shaders/common.glsl.
struct State {
  std::uint32_t failed = 0;  // 1: an index lies outside; the rest says which
  std::int32_t axis = 0;
  std::uint64_t value = 0;    // of the command, on the queue's timeline
  std::int64_t index = 0;     // what it is
  std::int64_t position = 0;  // where in the tensor of indices, row-major
  std::int64_t extent = 0;    // what it must be below
};

}  // namespace vulkan
