#include "backends/vulkan/kernels/kernel.h"
#include "backends/vulkan/shaders.h"

namespace vulkan {
namespace {

// shaders/random_bits.comp
struct Params {
  VkDeviceAddress to;
  std::int64_t words;
  std::uint32_t seed[2], stream[2];
};

constexpr std::int64_t words_per_group = 4 * 64;

class RandomBitsKernel : public lks_kernel {
 public:
  explicit RandomBitsKernel(const Pipeline& pipeline) : pipeline_(pipeline) {}

  void plan(Plan& plan, const lks_launch& launch) const override {
    const Tensor out = tensor(launch, 0);
    const auto word = [&](int i) { return static_cast<std::uint32_t>(launch.scalars[i]); };
    const std::int64_t words = out.count() * (out.dtype == LKS_I64 ? 2 : 1);  // the low half of an i64 comes first
    const Params p{out.address, words, {word(0), word(1)}, {word(2), word(3)}};
    const Access accesses[] = {out.access(true)};
    plan.dispatch(pipeline_, p, plan.groups_for(words, words_per_group), accesses);
  }

 private:
  const Pipeline& pipeline_;
};

}  // namespace

lks_status make_random_bits(const KernelRequest& r, Out out) {
  lks_status s = common::require_dtypes(r, {LKS_I32, LKS_I64});
  if (s == LKS_OK) s = require_dense(r);
  if (s != LKS_OK) return s;
  r.info.determinism = LKS_DETERMINISM_CROSS_DEVICE;
  if (!out) return LKS_OK;
  common::emplace<RandomBitsKernel>(r, out, context_of(r).device->pipelines.get(shaders::random_bits));
  return LKS_OK;
}

}  // namespace vulkan
