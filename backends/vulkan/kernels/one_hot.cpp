#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/one_hot.comp
struct Params {
  VkDeviceAddress to, labels;
  std::int64_t count, depth;
  std::uint64_t one;
};

constexpr std::int64_t group = 256;

struct Variant {
  std::uint32_t bytes;
  Shader by_i32, by_i64;
};
constexpr Variant variants[] = {{1, shaders::one_hot_bytes_i32, shaders::one_hot_bytes_i64},
                                {2, shaders::one_hot_halves_i32, shaders::one_hot_halves_i64},
                                {4, shaders::one_hot_words_i32, shaders::one_hot_words_i64},
                                {8, shaders::one_hot_longs_i32, shaders::one_hot_longs_i64}};

std::uint64_t one_in(lks_dtype t) {
  switch (t) {
    case LKS_F16: return 0x3c00;
    case LKS_BF16: return 0x3f80;
    case LKS_F32: return 0x3f800000;
    case LKS_F64: return 0x3ff0000000000000;
    default: return 1;
  }
}

class OneHotKernel : public lks_kernel {
 public:
  OneHotKernel(const Pipeline& pipeline, std::int64_t depth) : pipeline_(pipeline), depth_(depth) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor labels = tensor(launch, 0), out = tensor(launch, 1);
    const Params p{out.address, labels.address, out.count(), depth_, one_in(out.dtype)};
    const Access accesses[] = {labels.access(false), out.access(true)};
    plan.dispatch(pipeline_, p, plan.groups_for(p.count, group), accesses);
  }

 private:
  const Pipeline& pipeline_;
  const std::int64_t depth_;
};

}  // namespace

lks_status make_one_hot(const KernelRequest& r, Out out) {
  if (const lks_status s = require_dense(r); s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  const Variant* v = variants;
  while (v->bytes != size_of(r.output(0).dtype)) ++v;
  const Shader shader = r.input(0).dtype == LKS_I32 ? v->by_i32 : v->by_i64;
  common::emplace<OneHotKernel>(r, out, context_of(r).device->pipelines.get(shader),
                                r.attrs<lks_one_hot_attrs>().depth);
  return LKS_OK;
}

}  // namespace vulkan
