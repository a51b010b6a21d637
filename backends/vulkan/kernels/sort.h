// A stable sort of the numbers 0, 1 … by a key each.
#pragma once

#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

/// More are not sorted: shaders count with 32 bits.
constexpr std::int64_t most_sorted = std::int64_t{1} << 28;

/// Of `count` numbers.
std::uint64_t sort_workspace_bytes(std::int64_t count);

class Sort {
 public:
  /// For keys of a dtype, i32 or i64.
  Sort(lks_device& device, lks_dtype keys);

  /// Sorts by dense `keys` of which the lowest `bits` count; where these are all, the keys are signed. Returns where
  /// the order lies, within the workspace, as u32; or it goes to `to` as i64.
  VkDeviceAddress plan(Plan& plan, const Tensor& keys, int bits, VkDeviceAddress workspace, const Tensor* to) const;

 private:
  const Pipeline &count_, &scan_, &move_;
};

}  // namespace vulkan
