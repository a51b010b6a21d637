#include "backends/vulkan/kernels/index_check.h"

#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/check_indices.comp
struct Params {
  VkDeviceAddress indices;
  std::int64_t count, extent;
  std::uint64_t value;
  std::int32_t axis;
};

}  // namespace

const Pipeline& index_check_pipeline(lks_device& device, lks_dtype indices) {
  return device.pipelines.get(indices == LKS_I32 ? shaders::check_indices_i32 : shaders::check_indices_i64);
}

void plan_index_check(Plan& plan, const Pipeline& pipeline, const Tensor& indices, std::int64_t extent, int axis) {
  const std::int64_t count = indices.count();
  const Params p{indices.address, count, extent, plan.value(), axis};
  plan.dispatch_check(pipeline, p, {count > 0 ? 1u : 0u, 1, 1}, indices.access(false));
}

}  // namespace vulkan
