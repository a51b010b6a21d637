// A stable sort of the numbers 0, 1 …, each by a key of its own.
#pragma once

#include "backends/vulkan/kernels/kernel.h"

namespace vulkan {

/// The most numbers that can be sorted: shaders count with 32 bits.
constexpr std::int64_t max_sorted = std::int64_t{1} << 28;

/// The workspace for sorting `count` numbers.
std::uint64_t sort_workspace_bytes(std::int64_t count);

class Sort {
 public:
  /// For keys of dtype i32 or i64.
  Sort(lks_device& device, lks_dtype keys);

  /// Sorts by the lowest `bits` of dense `keys`; if these are all of their bits, the keys are signed. If `to` is null,
  /// the order is left in the workspace as u32, and its address is returned; else it is written to `to` as i64.
  VkDeviceAddress plan(Plan& plan, const Tensor& keys, int bits, VkDeviceAddress workspace, const Tensor* to) const;

 private:
  const Pipeline &count_, &scan_, &move_;
};

}  // namespace vulkan
