// Copies between any two strided layouts.
#include <algorithm>

#include "backends/vulkan/kernels/kernel.h"
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
    CopyParams p{to.address, from.address, static_cast<std::uint64_t>(to.count()), to.rank, {}, {}, {}};
    std::copy(to.dims, to.dims + to.rank, p.extents);
    std::copy(to.strides, to.strides + to.rank, p.to_strides);
    std::copy(from.strides, from.strides + from.rank, p.from_strides);
    join(p);
    const Access accesses[] = {from.access(false), to.access(true)};
    plan.dispatch(pipeline_, p, plan.groups_for(to.count(), 256), accesses);
  }

 private:
  // Neighbouring dimensions that both tensors walk over as one.
  static void join(CopyParams& p) {
    std::int64_t kept = 0;
    for (std::int64_t d = 1; d < p.rank; ++d) {
      const bool joins = p.to_strides[kept] == p.to_strides[d] * p.extents[d] &&
                         p.from_strides[kept] == p.from_strides[d] * p.extents[d];
      if (joins) {
        p.extents[kept] *= p.extents[d];
      } else {
        p.extents[++kept] = p.extents[d];
      }
      p.to_strides[kept] = p.to_strides[d];
      p.from_strides[kept] = p.from_strides[d];
    }
    if (p.rank > 0) p.rank = kept + 1;
  }

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
