// Tests that random numbers have the same bits as on the reference driver, for all lengths and numbers of threads.
#include "lockstep/ops/random.h"
#include "backends/cpu/test_support.h"

namespace lockstep::testing {
namespace {

constexpr RandomKey key{0x123456789abcdef0u, 0xfedcba987654321u};

TEST(Random, Bits) {
  for (DType t : {i32, i64}) {
    for (std::int64_t n : {1, 2, 3, 5, 1023, 1024, 1025, 4099, 300001}) {
      expect_same("bits", [&](Device d) {
        const DeviceScope scope(d);
        return random_bits({n}, t, key);
      });
    }
    expect_same_for_threads("bits", [&](Device d) {
      const DeviceScope scope(d);
      return random_bits({700, 1001}, t, key);
    });
  }
}

TEST(Random, Distributions) {
  for (DType t : {f32, f64}) {
    for (std::int64_t n : {1, 1000, 70001}) {
      const auto draw_each = [&](const std::function<Tensor(Random)>& f) {
        expect_same("distribution", [&](Device d) {
          const DeviceScope scope(d);
          return f({.dtype = t, .key = key});
        });
      };
      draw_each([&](Random r) { return random_uniform({n}, -1, 2, r); });
      draw_each([&](Random r) { return random_normal({n}, 1, 3, r); });
      draw_each([&](Random r) { return random_truncated_normal({n}, 0, 0.1, r); });
    }
  }
}

TEST(Random, PermutationAndDropout) {
  for (std::int64_t n : {1, 2, 300, 5000}) {
    expect_same("permutation", [&](Device d) {
      const DeviceScope scope(d);
      return random_permutation(n, key);
    });
    expect_same("dropout", [&](Device d) { return dropout(random_tensor(d, f32, {n, 3}, 1), 0.3, key); });
  }
}

// Results larger than the last-level cache are written with non-temporal stores.
TEST(Random, LargeLikeItsParts) {
  constexpr std::int64_t n = 12'000'001;
  const DeviceScope scope(cpu());
  const Tensor bits = random_bits({n}, i32, key);
  for (std::int64_t part : {1, 100000, 4000001}) {
    EXPECT_TRUE(same_bits(slice(bits, {{0, 0, part}}), random_bits({part}, i32, key)));
  }
  EXPECT_EQ(sum(bits).item<std::int32_t>(), sum(slice(bits, {{0, -1, std::nullopt, -1}})).item<std::int32_t>());
}

}  // namespace
}  // namespace lockstep::testing
