// Copies between any two strided layouts.
#include <algorithm>

#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/kernels/strided.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

struct CopyParams {
  VkDeviceAddress to, from;
  std::uint64_t count;
  std::int64_t rank;
  std::int64_t extents[LKS_MAX_RANK], to_strides[LKS_MAX_RANK], from_strides[LKS_MAX_RANK];
};

Shader shader_for(std::uint32_t element_bytes) {
  switch (element_bytes) {
    case 1: return shaders::copy_strided_bytes;
    case 2: return shaders::copy_strided_halves;
    case 4: return shaders::copy_strided_words;
    default: return shaders::copy_strided_longs;
  }
}

class CopyKernel : public lks_kernel {
 public:
  explicit CopyKernel(const Pipeline& pipeline) : pipeline_(pipeline) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor from = tensor(launch, 0), to = tensor(launch, 1);
    JoinedWalk<2> walk;
    for (int d = 0; d < to.rank; ++d) walk.append(to.dims[d], {to.strides[d], from.strides[d]});
    CopyParams p{to.address, from.address, static_cast<std::uint64_t>(to.count()), walk.rank, {}, {}, {}};
    std::copy_n(walk.dims, LKS_MAX_RANK, p.extents);
    std::copy_n(walk.strides[0], LKS_MAX_RANK, p.to_strides);
    std::copy_n(walk.strides[1], LKS_MAX_RANK, p.from_strides);
    const Access accesses[] = {from.access(false), to.access(true)};
    plan.dispatch(pipeline_, p, plan.groups_for(to.count(), 256), accesses);
  }

 private:
  const Pipeline& pipeline_;
};

}  // namespace

lks_status make_copy(const KernelRequest& r, Out out) {
  if (r.input(0).dtype != r.output(0).dtype) {
    return host::refuse(r.diag, LKS_REASON_DTYPE, 1, HOST_WHERE, "copy: the dtypes differ");
  }
  if (r.input(0).rank != r.output(0).rank) {
    return host::refuse(r.diag, LKS_REASON_RANK, 1, HOST_WHERE, "copy: the ranks differ");
  }
  if (!out) return LKS_OK;
  host::emplace<CopyKernel>(r, out, context_of(r).device->pipelines.get(shader_for(size_of(r.input(0).dtype))));
  return LKS_OK;
}

}  // namespace vulkan
