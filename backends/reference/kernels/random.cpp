// Philox 4x32-10: word i of a stream is word i % 4 of block i / 4.
#include "backends/reference/kernels/kernels.h"
#include "ops/scalar/dialect_cpp.h"

namespace reference {
namespace {

#include "ops/scalar/philox.inc"

class RandomBitsKernel : public lks_kernel {
 public:
  void run(const lks_launch& launch) const override {
    const host::TensorView out = view(launch, 0);
    const auto word = [&](int i) { return static_cast<std::uint32_t>(launch.scalars[i]); };
    const std::int64_t words = out.count() * (out.dtype == LKS_I64 ? 2 : 1);  // an i64 takes two words, low half first
    auto* to = out.as<std::uint32_t>();
    for (std::int64_t first = 0; first < words; first += 4) {
      const auto block = static_cast<std::uint64_t>(first / 4);
      const U32x4 r =
          philox_4x32_10({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), word(2), word(3)},
                         word(0), word(1));
      const std::uint32_t values[] = {r.x, r.y, r.z, r.w};
      for (std::int64_t i = 0; i < 4 && first + i < words; ++i) to[first + i] = values[i];
    }
  }
};

}  // namespace

lks_status make_random_bits(const KernelRequest& request, Out out) {
  const lks_status status = common::require_dtypes(request, {LKS_I32, LKS_I64});
  if (status != LKS_OK) return status;
  common::emplace<RandomBitsKernel>(request, out);
  return LKS_OK;
}

}  // namespace reference
