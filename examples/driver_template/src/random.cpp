// Random bits: Philox 4x32-10. Each element depends only on the key and on its row-major index.
#include <lockstep/scalar/dialect_cpp.h>

#include "kernels.h"

namespace {

#include <lockstep/scalar/philox.inc>

struct RandomBits : lks_kernel {
  void run(const lks_launch& launch) const override {
    const Tensor out = tensor(launch, 0);
    Walk<1> walk(out.rank, out.dims);
    walk.follow(0, out.strides);
    const int per_element = out.dtype == LKS_I64 ? 2 : 1;  // a word has 32 bits; an i64 takes two, low half first
    for (std::int64_t i = 0; !walk.done(); walk.next(), ++i) {
      const std::uint64_t low = word(launch, i * per_element);
      if (out.dtype == LKS_I32) {
        out.as<std::int32_t>()[walk.offset(0)] = static_cast<std::int32_t>(low);
      } else {
        out.as<std::int64_t>()[walk.offset(0)] = static_cast<std::int64_t>(low | word(launch, i * 2 + 1) << 32);
      }
    }
  }

 private:
  // Word i of the stream is word i mod 4 of block i div 4. Scalars: seed low, seed high, stream low, stream high.
  static std::uint64_t word(const lks_launch& launch, std::int64_t i) {
    const auto scalar = [&](int s) { return static_cast<std::uint32_t>(launch.scalars[s]); };
    const auto block = static_cast<std::uint64_t>(i) / 4;
    const U32x4 r = philox_4x32_10(
        {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), scalar(2), scalar(3)}, scalar(0),
        scalar(1));
    const std::uint32_t words[] = {r.x, r.y, r.z, r.w};
    return words[i % 4];
  }
};

}  // namespace

lks_status make_random_bits(const Request& request, Made* made) {
  const lks_status status = require_dtypes(request, {LKS_I32, LKS_I64});
  return status == LKS_OK ? make_kernel<RandomBits>(request, made) : status;
}
