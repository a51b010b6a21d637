// cumsum and layer_norm on every device, compared with plain loops; sine and cosine where arguments are hard to reduce.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

class Composites : public testing::TestWithParam<std::string> {
 protected:
  Device device{GetParam()};
  DeviceScope scope{device};
};

// Small whole numbers, so that every order of summation is exact.
std::vector<float> whole_numbers(std::int64_t count) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i * 7 % 11 - 5));
  return values;
}

std::vector<float> summed(std::vector<float> values, bool reverse) {
  if (reverse) std::reverse(values.begin(), values.end());
  float total = 0;
  for (float& v : values) v = total += v;
  if (reverse) std::reverse(values.begin(), values.end());
  return values;
}

TEST_P(Composites, CumsumOfEveryLength) {
  for (std::int64_t count : {1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 65}) {
    const std::vector<float> values = whole_numbers(count);
    const Tensor x(values, Shape{count});
    EXPECT_EQ(cumsum(x).to_vector<float>(), summed(values, false)) << count;
    EXPECT_EQ(cumsum(x, 0, true).to_vector<float>(), summed(values, true)) << count;
  }
  EXPECT_EQ(cumsum(zeros({2, 0})).shape(), (Shape{2, 0}));
}

TEST_P(Composites, CumsumKeepsTheSignOfZeros) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Tensor x = cast(Tensor({-0.0f, -0.0f, -0.0f, 0.0f, -0.0f}), dtype);
    const auto signs = [](const Tensor& sums) {
      std::vector<bool> negative;
      for (float v : cast(sums, DType::f32).to_vector<float>()) {
        EXPECT_EQ(v, 0);
        negative.push_back(std::signbit(v));
      }
      return negative;
    };
    EXPECT_EQ(signs(cumsum(x)), (std::vector<bool>{true, true, true, false, false})) << name_of(dtype);
    EXPECT_EQ(signs(cumsum(x, 0, true)), (std::vector<bool>{false, false, false, false, true})) << name_of(dtype);
  }
}

TEST_P(Composites, CumsumAlongEachAxis) {
  const Tensor x(std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}, Shape{2, 3});
  EXPECT_EQ(cumsum(x).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(cumsum(x, -2).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2, 3, 5, 7, 9}));
  EXPECT_EQ(cumsum(x, 1, true).to_vector<std::int32_t>(), (std::vector<std::int32_t>{6, 5, 3, 15, 11, 6}));
}

TEST_P(Composites, GradientOfCumsumSumsBackwards) {
  const Tensor x(whole_numbers(5), Shape{5});
  const Tensor weights(std::vector<float>{1, 2, 4, 8, 16}, Shape{5});
  GradientTape tape;
  tape.watch(x);
  const Tensor y = sum(cumsum(x) * weights);
  EXPECT_EQ(tape.gradient(y, x).to_vector<float>(), (std::vector<float>{31, 30, 28, 24, 16}));
}

TEST_P(Composites, LayerNormHasMean0AndVariance1) {
  const Tensor x(std::vector<float>{1, 2, 3, 4, -10, 0, 10, 40}, Shape{2, 4});
  const std::vector<float> y = layer_norm(x, 0.0).to_vector<float>();
  for (std::size_t row = 0; row < 2; ++row) {
    float total = 0, squares = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      total += y[4 * row + j];
      squares += y[4 * row + j] * y[4 * row + j];
    }
    EXPECT_NEAR(total, 0, 1e-5);
    EXPECT_NEAR(squares, 4, 1e-5);
  }
  EXPECT_NEAR(y[0], -1.5 / std::sqrt(1.25), 1e-6);
  const Tensor scale(std::vector<float>{1, 2, 3, 4}, Shape{4}), shift(std::vector<float>{10, 10, 10, 20}, Shape{4});
  const std::vector<float> z = layer_norm(x, scale, shift, 0.0).to_vector<float>();
  for (std::size_t i = 0; i < z.size(); ++i) {
    EXPECT_NEAR(z[i], y[i] * static_cast<float>(i % 4 + 1) + (i % 4 == 3 ? 20.0f : 10.0f), 1e-5) << i;
  }
}

TEST_P(Composites, LayerNormOfVariance0NeedsAnEpsilonThatIsNot0) {
  const Tensor x(std::vector<float>{2, 2, 2, 2}, Shape{1, 4});
  const auto expect_each = [&](double epsilon, bool (*holds)(float)) {
    GradientTape tape;
    tape.watch(x);
    const Tensor y = layer_norm(x, epsilon);
    const Tensor total = sum(y);
    for (float v : y.to_vector<float>()) EXPECT_TRUE(holds(v)) << v << " with " << epsilon;
    for (float g : tape.gradient(total, x).to_vector<float>()) EXPECT_TRUE(holds(g)) << g << " with " << epsilon;
  };
  // In the gradient, 1 / sqrt(1e-5) = 316 is added and subtracted four times.
  expect_each(1e-5, [](float v) { return std::fabs(v) < 1e-3f; });
  expect_each(0, [](float v) { return std::isnan(v); });
  expect_each(1e-60, [](float v) { return std::isnan(v); });  // rounds to 0 in f32
}

TEST_P(Composites, LayerNormRefusesOtherShapes) {
  const Tensor x = ones({2, 4});
  const auto refused = [](ErrorId id, auto&& call) {
    expect_error_saying(call, id, {"layer_norm"}, "composites_test.cpp");
  };
  refused(ErrorId::shapes_differ, [&] { layer_norm(x, ones({3}), ones({4})); });
  refused(ErrorId::shapes_differ, [&] { layer_norm(x, ones({4}), ones({1})); });
  refused(ErrorId::wrong_rank, [&] { layer_norm(x, ones({1, 4}), ones({4})); });
  refused(ErrorId::invalid_shape, [&] { layer_norm(ones({2, 0})); });
  for (const double epsilon : {-1.0, double{NAN}, double{INFINITY}}) {
    refused(ErrorId::invalid_attribute, [&] { layer_norm(x, epsilon); });
  }
}

// Expected values by mpmath with 400 bits, rounded to f32.
TEST_P(Composites, SineAndCosineOfHugeNumbers) {
  const std::vector<float> points = {0.785398185f,    1.57079637f,      3.14159274f,     100000.0f,
                                     16777216.0f,     1e+10f,           1.00000002e+20f, 1.00000002e+30f,
                                     3.40282347e+38f, -1.00000002e+30f, 1e-30f};
  const std::vector<float> sines = {0.707106769f,  1.0f,         -8.74227766e-08f, 0.0357487984f, -0.779563665f,
                                    -0.487506032f, 0.656576693f, -0.791163445f,    -0.521876514f, 0.791163445f,
                                    1e-30f};
  const std::vector<float> cosines = {0.707106769f, -4.37113883e-08f, -1.0f,        -0.9993608f,
                                      0.626322985f, 0.873119652f,     0.754259288f, -0.61160481f,
                                      0.853021026f, -0.61160481f,     1.0f};
  const Tensor x(points, Shape{static_cast<std::int64_t>(points.size())});
  const std::vector<float> s = sin(x).to_vector<float>(), c = cos(x).to_vector<float>();
  for (std::size_t i = 0; i < points.size(); ++i) {
    EXPECT_NEAR(s[i], sines[i], 0x1p-23 * std::fabs(sines[i])) << points[i];
    EXPECT_NEAR(c[i], cosines[i], 0x1p-23 * std::fabs(cosines[i])) << points[i];
  }
}

TEST_P(Composites, GradientOfSineIsCosine) {
  const Tensor x(std::vector<float>{-2, 0, 0.5f, 3}, Shape{4});
  GradientTape tape;
  tape.watch(x);
  const Tensor y = sum(sin(x));
  EXPECT_EQ(tape.gradient(y, x).to_vector<float>(), cos(x).to_vector<float>());
}

INSTANTIATE_TEST_SUITE_P(All, Composites, testing::ValuesIn(available_devices()),
                         [](const auto& of) { return test_name_of(of.param); });

}  // namespace
}  // namespace lockstep
