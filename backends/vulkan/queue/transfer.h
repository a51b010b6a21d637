// Copies and fills. Compute queues run them as shaders, so that they are skipped like any other command once a command
// has failed. Transfer queues run no command that can fail on the device, and use Vulkan's transfer commands.
#pragma once

#include "backends/vulkan/queue/plan.h"

namespace vulkan {

/// Fills with zeros by a shader; for kernels.
void plan_zeros(Plan& plan, VkDeviceAddress to, std::uint64_t bytes);
void plan_copy(Plan& plan, const DeviceLocation& to, const DeviceLocation& from, std::uint64_t bytes);
/// `pattern_bytes` is 1, 2, 4 or 8; `bytes` and the offset of `to` in its buffer are multiples of it. On a transfer
/// queue, a pattern that does not repeat every 4 bytes is copied from staging memory.
void plan_fill(Plan& plan, Staging& staging, const DeviceLocation& to, std::uint64_t bytes, std::uint64_t pattern,
               std::uint32_t pattern_bytes);

}  // namespace vulkan
