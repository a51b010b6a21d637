// Ranges of random numbers, and dropout's rate: values that the host computes in f64 are rounded once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();

template <class F>
void expect_refusal(F f, const std::string& words, ErrorId id = ErrorId::invalid_attribute) {
  expect_error_saying(f, id, {words}, "random_test.cpp:", true);
}

class RandomRanges : public testing::TestWithParam<std::string> {
 protected:
  DeviceScope scope{Device(GetParam())};
};

// The results for all 2^24 values of the upper bits.
std::vector<float> all_uniform(double low, double high) {
  constexpr std::int64_t count = 1 << 24;
  const OpDef& op = *find_op("uniform_of_bits");
  const Tensor bits = mul(arange(count, i32), 256);  // wraps around: all patterns of the upper 24 bits
  std::vector<float> numbers;
  for (std::int64_t at = 0; at < count; at += 1 << 22) {
    // The op's own numbers for this range, computed as the public function computes them.
    const auto first =
        static_cast<float>(low) < low ? std::nextafter(static_cast<float>(low), INFINITY) : static_cast<float>(low);
    const auto last = static_cast<float>(high) >= high ? std::nextafter(static_cast<float>(high), -INFINITY)
                                                       : static_cast<float>(high);
    const Scalar scalars[] = {first, high - low, last};
    const Tensor part = invoke1(op, {slice(bits, {{0, at, at + (1 << 22)}})}, nullptr, scalars);
    const std::vector<float> values = part.to_vector<float>();
    numbers.insert(numbers.end(), values.begin(), values.end());
  }
  return numbers;
}

TEST_P(RandomRanges, NeverReachTheEnd) {
  const std::vector<float> numbers = all_uniform(2.1, 9);
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  EXPECT_GE(static_cast<double>(*least), 2.1);
  EXPECT_LT(*most, 9.0f);
  EXPECT_EQ(*most, std::nextafter(9.0f, 0.0f));
  // The mean is that of the range, 5.55. Its rounding error is far below the tolerance.
  double total = 0;
  for (float v : numbers) total += v;
  EXPECT_NEAR(total / static_cast<double>(numbers.size()), 5.55, 1e-5);
}

TEST_P(RandomRanges, OfDoublesNeverReachTheEnd) {
  const double last = std::nextafter(9.0, 0.0);
  // The three largest numbers that the upper 53 bits give. The sum with the largest rounds to 9.
  const Tensor bits({std::int64_t{-1}, std::int64_t{-2048}, std::int64_t{-2049}, std::int64_t{-4097}});
  const Scalar scalars[] = {2.1, 9 - 2.1, last};
  const std::vector<double> numbers =
      invoke1(*find_op("uniform_of_bits"), {bits}, nullptr, scalars).to_vector<double>();
  const auto expected = [last](double below) { return std::min(last, 2.1 + (9 - 2.1) * (1 - below * 0x1p-53)); };
  ASSERT_EQ(2.1 + (9 - 2.1) * (1 - 0x1p-53), 9.0) << "else the cap is not needed";
  EXPECT_EQ(numbers, (std::vector<double>{last, last, expected(2), expected(3)}));
  // A range of eight numbers, where one sum in 16 rounds to the end.
  const double high = 1 + 0x1p-49;
  std::vector<int> counts(8);
  for (double v : random_uniform({4096}, 1, high, {.dtype = f64}).to_vector<double>()) {
    ASSERT_GE(v, 1.0);
    ASSERT_LT(v, high);
    ++counts[static_cast<std::size_t>((v - 1) * 0x1p52)];
  }
  // Half a share for the first, one and a half for the last.
  EXPECT_NEAR(counts[0], 256, 80);
  EXPECT_NEAR(counts[7], 768, 130);
}

// Ranges that contain a few numbers, where rounding would reach the end half of the time.
TEST_P(RandomRanges, OfNeighboursStayInside) {
  const float one = 1, above = std::nextafter(one, 2.0f), two_above = std::nextafter(above, 2.0f);
  for (float v : random_uniform({1000}, one, above).to_vector<float>()) ASSERT_EQ(v, one);
  const std::vector<float> pair = random_uniform({1000}, one, two_above).to_vector<float>();
  EXPECT_EQ(std::count(pair.begin(), pair.end(), one) + std::count(pair.begin(), pair.end(), above), 1000);
  const double wide_above = std::nextafter(1.0, 2.0);
  for (double v : random_uniform({1000}, 1, wide_above, {.dtype = f64}).to_vector<double>()) ASSERT_EQ(v, 1.0);
  for (float v : random_uniform({9}, 3, 3).to_vector<float>()) EXPECT_EQ(v, 3.0f);
  for (float v : random_uniform({1000}, 0.7, 0.7000002).to_vector<float>()) {
    ASSERT_GE(static_cast<double>(v), 0.7);
    ASSERT_LT(static_cast<double>(v), 0.7000002);
  }
  for (float v : random_uniform({1000}, -0.1, 0).to_vector<float>()) ASSERT_TRUE(v >= -0.1 && v < 0) << v;
}

TEST_P(RandomRanges, AreRefusedWhereTheyMakeNoSense) {
  for (const auto& [low, high] : {std::pair{1.0, -1.0},
                                  {nan, 1.0},
                                  {0.0, nan},
                                  {-inf, 1.0},
                                  {0.0, inf},
                                  {0.0, 1e39},
                                  {-3e38, 3e38},
                                  {0.1, 0.1 + 1e-12}}) {
    expect_refusal([low = low, high = high] { random_uniform({3}, low, high); }, "the range is [");
  }
  expect_refusal([] { random_uniform({3}, -1e308, 1e308, {.dtype = f64}); }, "the range is [");
  EXPECT_NO_THROW(random_uniform({3}, -1e300, 1e300, {.dtype = f64}));
  for (double deviation : {-1.0, nan, inf, 1e39}) {
    expect_refusal([=] { random_normal({3}, 0, deviation); }, "the standard deviation");
    expect_refusal([=] { random_truncated_normal({3}, 0, deviation); }, "the standard deviation");
  }
  expect_refusal([] { random_normal({3}, nan, 1); }, "the mean is");
  for (float v : random_normal({5}, 2.5, 0).to_vector<float>()) EXPECT_EQ(v, 2.5f);
  for (DType t : {f16, bf16, i32, boolean}) {
    expect_refusal([=] { random_uniform({3}, 0, 1, {.dtype = t}); }, "f32 or f64", ErrorId::dtype_not_accepted);
  }
}

// Near the end of the range, mean + deviation z is rounded as any sum: to infinity, if it is too large.
TEST_P(RandomRanges, NormalNumbersBeyondTheDtypeAreInfinite) {
  const Random random{.key = RandomKey{7, 3}};
  const std::vector<float> z = random_normal({1000}, 0, 1, random).to_vector<float>();
  constexpr float large = 3e38f;
  for (float mean : {large, -large, 0.0f}) {
    const std::vector<float> numbers = random_normal({1000}, mean, large, random).to_vector<float>();
    std::size_t infinite = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      const float distance = z[i] * large, expected = mean + distance;
      EXPECT_EQ(numbers[i], expected) << "mean " << mean << ", z " << z[i];
      infinite += std::isinf(expected);
    }
    EXPECT_GT(infinite, 10u);
    EXPECT_LT(infinite, 990u);
  }
}

// ------------------------------------------------------------------------------------------------------------- dropout

TEST_P(RandomRanges, DropoutScalesByTheRateInF64) {
  for (const auto& [rate, scale] : {std::pair{0.999, 1000.0f}, {0.75, 4.0f}, {0.9, 10.0f}, {0.99999, 1e5f}}) {
    const std::vector<float> kept = dropout(ones({200000}), rate, RandomKey{3, 5}).to_vector<float>();
    const auto zeros = std::count(kept.begin(), kept.end(), 0.0f), scaled = std::count(kept.begin(), kept.end(), scale);
    EXPECT_EQ(zeros + scaled, 200000) << rate;
    EXPECT_GT(scaled, 0) << rate;
    EXPECT_NEAR(static_cast<double>(zeros), rate * 200000, 5 * std::sqrt(200000 * rate * (1 - rate)) + 1) << rate;
  }
  const std::vector<double> wide = dropout(ones({64}, f64), 0.3, RandomKey{1, 2}).to_vector<double>();
  for (double v : wide) EXPECT_TRUE(v == 0 || v == 1 / 0.7) << v;
}

// An element is dropped if its uniform number is below the rate, which is an f64.
TEST_P(RandomRanges, DropoutComparesWithTheRateInF64) {
  const RandomKey key{11, 4};
  constexpr std::int64_t count = 4096;
  const std::vector<float> uniform = random_uniform({count}, 0, 1, {.key = key}).to_vector<float>();
  // Rates at one of the uniform numbers and just above it. f32 cannot represent the difference.
  const double at = *std::max_element(uniform.begin(), uniform.end());
  ASSERT_GT(at, 0.99);
  const auto dropped = [&](double rate) {
    const std::vector<float> kept = dropout(ones({count}), rate, key).to_vector<float>();
    return std::count(kept.begin(), kept.end(), 0.0f);
  };
  EXPECT_EQ(dropped(at), count - 1);
  EXPECT_EQ(dropped(at + 1e-12), count);
}

INSTANTIATE_TEST_SUITE_P(Devices, RandomRanges, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep
