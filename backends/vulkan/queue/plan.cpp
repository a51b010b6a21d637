#include "backends/vulkan/queue/plan.h"

#include <algorithm>

namespace vulkan {

Access Tensor::access(bool write) const {
  std::int64_t low = 0, high = 1;
  for (int d = 0; d < rank; ++d) {
    if (dims[d] == 0) return {address, address, write};
    const std::int64_t reach = (dims[d] - 1) * strides[d];
    (reach < 0 ? low : high) += reach;
  }
  const std::int64_t size = size_of(dtype);
  return {address + static_cast<VkDeviceAddress>(low * size), address + static_cast<VkDeviceAddress>(high * size),
          write};
}

Groups Plan::groups_for(std::int64_t items, std::int64_t per_group) const {
  const auto groups = static_cast<std::uint64_t>(ceil_div(items, per_group));
  const std::uint64_t widest = device_.properties.max_groups[0];
  if (groups <= widest) return {static_cast<std::uint32_t>(groups), 1, 1};
  const std::uint64_t rows = (groups + widest - 1) / widest;
  if (rows > device_.properties.max_groups[1]) {
    raise(LKS_UNSUPPORTED, DRIVER_WHERE, "%lld items are more than the device can start at once",
          static_cast<long long>(items));
  }
  return {static_cast<std::uint32_t>((groups + rows - 1) / rows), static_cast<std::uint32_t>(rows), 1};
}

bool Plan::add(const Pipeline& pipeline, const void* params, std::uint64_t bytes, Groups groups,
               std::span<const Access> accesses) {
  if (groups.x == 0 || groups.y == 0 || groups.z == 0) return false;
  Dispatch d;
  d.pipeline = &pipeline;
  if (bytes > 0) {
    const Staged staged = params_.take(bytes);
    std::memcpy(staged.data, params, bytes);
    d.push.params = staged.location.address;
  }
  d.push.state = state_;
  d.groups = groups;
  d.first_access = static_cast<std::uint32_t>(accesses_.size());
  d.access_count = static_cast<std::uint32_t>(accesses.size());
  dispatches_.push_back(d);
  accesses_.insert(accesses_.end(), accesses.begin(), accesses.end());
  return true;
}

}  // namespace vulkan
