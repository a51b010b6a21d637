// Tests pointwise programs on every device around the sizes at which drivers cut their work into blocks: results at
// each position, constants and inputs as outputs, and programs with thousands of instructions.
#include <gtest/gtest.h>

#include "lockstep/lockstep.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

class PointwiseBlocks : public testing::TestWithParam<std::string> {
 protected:
  DeviceScope scope_{Device(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Devices, PointwiseBlocks, testing::ValuesIn(available_devices()), by_device);

constexpr std::int64_t sizes[] = {0, 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000};

TEST_P(PointwiseBlocks, EveryElementIsComputed) {
  for (std::int64_t n : sizes) {
    const Tensor x = arange(n, f32);
    const std::vector<float> y = (x * 2.0 + x).to_vector<float>();
    for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(y[static_cast<std::size_t>(i)], 3.0f * static_cast<float>(i)) << n;
    // Rows of another length, and an operand that is broadcast along them.
    const std::vector<float> z = (reshape(x, {n, 1}) - ones({1, 3})).to_vector<float>();
    for (std::size_t i = 0; i < z.size(); ++i) ASSERT_EQ(z[i], static_cast<float>(i / 3) - 1) << n;
  }
}

TEST_P(PointwiseBlocks, OutputsAreConstantsOrInputs) {
  static const OpDef& constant = register_op(pointwise_op("test::nine_beside", [](Expr x) { return x.constant(9); }));
  static const OpDef& same = register_op(pointwise_op("test::same_as_input", [](Expr x) { return x; }));
  for (std::int64_t n : sizes) {
    const Tensor x = arange(n, f32);
    EXPECT_EQ(invoke1(constant, {x}).to_vector<float>(), std::vector<float>(static_cast<std::size_t>(n), 9)) << n;
    EXPECT_EQ(invoke1(same, {x}).to_vector<float>(), x.to_vector<float>()) << n;
  }
}

template <int steps>
Expr long_sum(Expr x) {
  Expr total = x;
  for (int k = 1; k <= steps; ++k) total = total * (k % 2 ? 2.0 : 0.5) + static_cast<double>(k % 3);
  return total;
}

// All values are small and exact.
void expect_long_sum(const OpDef& op, int steps) {
  for (std::int64_t n : {1, 9, 65, 200}) {
    const std::vector<float> y = invoke1(op, {arange(n, f32)}).to_vector<float>();
    for (std::int64_t i = 0; i < n; ++i) {
      float total = static_cast<float>(i);
      for (int k = 1; k <= steps; ++k) total = total * (k % 2 ? 2.0f : 0.5f) + static_cast<float>(k % 3);
      ASSERT_EQ(y[static_cast<std::size_t>(i)], total) << n << ", element " << i;
    }
  }
}

TEST_P(PointwiseBlocks, LongProgramsGiveEveryElement) {
  static const OpDef& op = register_op(pointwise_op("test::long_sum", &long_sum<60>));
  expect_long_sum(op, 60);
  if (driver_name_of(GetParam()) != "reference") return;  // drivers may refuse so long a program
  static const OpDef& longer = register_op(pointwise_op("test::longer_sum", &long_sum<1200>));
  expect_long_sum(longer, 1200);
}

}  // namespace
}  // namespace lockstep
