// arange: values that the host can compute in f64 are rounded once. Expected values by NumPy: (start + numpy.arange(n)
// * step) in f64, then astype.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

template <class F>
void expect_refusal(F f, ErrorId id, const std::string& words) {
  expect_error_saying(f, id, {words}, "arange_test.cpp:", true);
}

class Arange : public testing::TestWithParam<std::string> {
 protected:
  DeviceScope scope{Device(GetParam())};
};

TEST_P(Arange, RoundsOnce) {
  const std::vector<float> tenths = arange(10, f32, 0, 0.1).to_vector<float>();
  EXPECT_EQ(tenths[9], 0.899999976f);
  EXPECT_EQ(tenths[3], 0.3f);
  const std::vector<float> many = arange(100001, f32, -3.7, 1e-3).to_vector<float>();
  for (int i = 0; i <= 100000; ++i) {
    ASSERT_EQ(many[static_cast<std::size_t>(i)], static_cast<float>(-3.7 + i * 1e-3)) << i;
  }
  const std::vector<double> wide = arange(1000, f64, 0.1, 0.7).to_vector<double>();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(wide[static_cast<std::size_t>(i)], 0.1 + i * 0.7) << i;
}

TEST_P(Arange, CountsWholeNumbersExactly) {
  EXPECT_EQ(iota(3, i32, 5, 2).to_vector<std::int32_t>(), (std::vector<std::int32_t>{5, 7, 9}));
  EXPECT_EQ(arange(4).to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(arange(4, i32, 10, -7).to_vector<std::int32_t>(), (std::vector<std::int32_t>{10, 3, -4, -11}));
  EXPECT_EQ(arange(3, i64, 0x1p53, 0x1p53).to_vector<std::int64_t>()[2], 3 * (std::int64_t{1} << 53));
  EXPECT_EQ(arange(3, i64, -0x1p63, 0x1p62).to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{INT64_MIN, -(std::int64_t{1} << 62), 0}));
  EXPECT_EQ(arange(2, i32, -0x1p31, 0x1p31 - 1).to_vector<std::int32_t>(), (std::vector<std::int32_t>{INT32_MIN, -1}));
  EXPECT_EQ(arange(0, i32, 5, 1).size(), 0);
  EXPECT_EQ(arange(1, i32, 5, 0x1p40).item<std::int32_t>(), 5);
  EXPECT_EQ(arange(3, f32, 5, 0).to_vector<float>(), (std::vector<float>{5, 5, 5}));
}

TEST_P(Arange, RefusesWhatItCannotCount) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (DType t : {i32, i64}) {
    for (double odd : {0.5, nan, inf, -inf, 1e300}) {
      expect_refusal([&] { arange(3, t, odd, 1); }, ErrorId::invalid_attribute, "can count");
      expect_refusal([&] { arange(3, t, 0, odd); }, ErrorId::invalid_attribute, "can count");
    }
  }
  expect_refusal([] { arange(3, i32, 0x1p31 - 2, 1); }, ErrorId::invalid_attribute, "3 numbers");
  expect_refusal([] { arange(3, i64, 0x1p62, 0x1p62); }, ErrorId::invalid_attribute, "3 numbers");
  expect_refusal([] { arange(std::int64_t{1} << 33, i32, 0, 1); }, ErrorId::invalid_attribute, "numbers");
  for (DType t : {f16, bf16, i8, u8, boolean}) {
    expect_refusal([&] { arange(3, t); }, ErrorId::dtype_not_accepted, "counts are f32, f64, i32, i64");
  }
}

TEST_P(Arange, KeepsInfinitiesAndNaNOfFloats) {
  EXPECT_TRUE(std::isnan(arange(2, f32, std::nan(""), 1).to_vector<float>()[1]));
  EXPECT_EQ(arange(2, f32, std::numeric_limits<double>::infinity(), 1).to_vector<float>()[1],
            std::numeric_limits<float>::infinity());
  EXPECT_EQ(arange(2, f32, 0, 1e300).to_vector<float>()[1], std::numeric_limits<float>::infinity());
}

INSTANTIATE_TEST_SUITE_P(Devices, Arange, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep
