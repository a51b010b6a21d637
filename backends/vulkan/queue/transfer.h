// Copies and fills, done by shaders: a queue whose command has failed skips them like any other.
#pragma once

#include "backends/vulkan/queue/plan.h"

namespace vulkan {

void plan_copy(Plan& plan, VkDeviceAddress to, VkDeviceAddress from, std::uint64_t bytes);
/// `pattern_bytes` is 1, 2, 4 or 8; `to` and `bytes` are multiples of it, counted from an aligned buffer.
void plan_fill(Plan& plan, VkDeviceAddress to, std::uint64_t bytes, std::uint64_t pattern, std::uint32_t pattern_bytes);

}  // namespace vulkan
