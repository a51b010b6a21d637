#include "backends/vulkan/kernels/index_check.h"

#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/check_indices.comp
struct Params {
  CheckFields check;
  VkDeviceAddress indices;
};

}  // namespace

const Pipeline& index_check_pipeline(lks_device& device, lks_dtype indices) {
  return device.pipelines.get(indices == LKS_I32 ? shaders::check_indices_i32 : shaders::check_indices_i64);
}

void plan_index_check(Plan& plan, const Pipeline& pipeline, const Tensor& indices, std::int64_t extent, int axis) {
  plan_check(plan, pipeline, Params{{}, indices.address}, &Params::check, indices.count(), extent, axis,
             indices.access(false));
}

}  // namespace vulkan
