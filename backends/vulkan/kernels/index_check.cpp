#include "backends/vulkan/kernels/index_check.h"

#include <algorithm>

#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/check_indices.comp
struct Params {
  VkDeviceAddress indices;
  std::int64_t first, end, extent;
  std::uint64_t value;
  std::int32_t axis;
};

}  // namespace

const Pipeline& index_check_pipeline(lks_device& device, lks_dtype indices) {
  return device.pipelines.get(indices == LKS_I32 ? shaders::check_indices_i32 : shaders::check_indices_i64);
}

void plan_index_check(Plan& plan, const Pipeline& pipeline, const Tensor& indices, std::int64_t extent, int axis) {
  // Of one dispatch: see most_turns in reduce.cpp. The later ones do nothing once one has failed the command.
  constexpr std::int64_t most = 256 * 32768;
  const std::int64_t count = indices.count();
  for (std::int64_t first = 0; first < count; first += most) {
    const Params p{indices.address, first, std::min(first + most, count), extent, plan.value(), axis};
    plan.dispatch_check(pipeline, p, {1, 1, 1}, indices.access(false));
  }
}

}  // namespace vulkan
