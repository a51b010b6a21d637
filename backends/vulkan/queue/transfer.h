// Copies and fills. Compute queues do them by shaders: a queue whose command has failed skips them like any other.
// Transfer queues have no command that can fail on the device, and leave them to the copy engine.
#pragma once

#include "backends/vulkan/queue/plan.h"

namespace vulkan {

/// By a shader, for kernels.
void plan_zeros(Plan& plan, VkDeviceAddress to, std::uint64_t bytes);
void plan_copy(Plan& plan, const Place& to, const Place& from, std::uint64_t bytes);
/// `pattern_bytes` is 1, 2, 4 or 8; `to` and `bytes` are multiples of it, counted from an aligned buffer. What is no
/// pattern of words is copied from staged memory, on a transfer queue.
void plan_fill(Plan& plan, Staging& staging, const Place& to, std::uint64_t bytes, std::uint64_t pattern,
               std::uint32_t pattern_bytes);

}  // namespace vulkan
