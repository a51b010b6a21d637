// Philox 4x32-10: word i of the stream is word i % 4 of block i / 4. Blocks are computed several at a time.
#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/random/philox_lanes.h"
#include "backends/cpu/stream.h"

namespace cpu {
namespace {

constexpr std::int64_t batch = 256;  // blocks

struct Key {
  std::uint32_t seed_low, seed_high, stream_low, stream_high;
};

/// Writes the words of blocks first … first + batch - 1.
void fill_batch(std::uint32_t* to, std::uint64_t first, const Key& key) {
  using namespace philox;
  // A batch does not straddle a multiple of 2^32, because `first` is a multiple of the batch size.
  const U32 high{all(first >> 32)}, seed_low{all(key.seed_low)}, seed_high{all(key.seed_high)};
  const U32 stream_low{all(key.stream_low)}, stream_high{all(key.stream_high)};
  U32 counter{lane_blocks() + (first & 0xffffffffu)};
  for (std::int64_t b = 0; b < batch; b += lanes) {
    store_blocks(to + 4 * b, philox_4x32_10({counter, high, stream_low, stream_high}, seed_low, seed_high));
    counter = counter + U32{all(lanes)};
  }
}

class RandomBitsKernel : public lks_kernel {
 public:
  explicit RandomBitsKernel(const lks_host_api& api) : api_(api) {}

  void run(const lks_launch& launch) const override {
    const host::TensorView out = view(launch, 0);
    const auto scalar = [&](int i) { return static_cast<std::uint32_t>(launch.scalars[i]); };
    const Key key{scalar(0), scalar(1), scalar(2), scalar(3)};
    const std::int64_t bytes = out.count() * bytes_of(out.dtype);  // the low half of an i64 comes first
    constexpr std::int64_t batch_bytes = 16 * batch;
    const bool streams = bytes >= stream_threshold();
    parallel(
        api_, (bytes + batch_bytes - 1) / batch_bytes, grain_for(2 * batch), [&](std::int64_t begin, std::int64_t end) {
          alignas(64) std::uint32_t words[4 * batch];
          for (std::int64_t i = begin; i < end; ++i) {
            char* to = out.data + i * batch_bytes;
            const std::int64_t n = std::min(batch_bytes, bytes - i * batch_bytes);
            const auto* from = reinterpret_cast<const char*>(words);
            fill_batch(words, static_cast<std::uint64_t>(i * batch), key);
            streams ? stream_out(to, from, n) : static_cast<void>(std::memcpy(to, from, static_cast<std::size_t>(n)));
          }
          if (streams) stream_fence();
        });
  }

 private:
  const lks_host_api& api_;
};

}  // namespace

lks_status make_random_bits(const KernelRequest& request, Out out) {
  if (const lks_status s = common::require_dtypes(request, {LKS_I32, LKS_I64}); s != LKS_OK) return s;
  if (!common::is_dense(request.output(0))) {
    return common::refuse(request.diag, LKS_REASON_LAYOUT, -1, DRIVER_WHERE, "the output is not dense");
  }
  if (request.info.deps) request.info.deps[0].dense = 1;
  common::emplace<RandomBitsKernel>(request, out, request.api);
  return LKS_OK;
}

}  // namespace cpu
