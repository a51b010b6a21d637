// Gradients that are a matter of definition: at NaN, infinities, zeros of both signs, ties and bounds, and where a
// formula overflows although its result does not. On every device, in every mode. Expected values are worked out by
// hand from the headers of the ops.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "lockstep/lockstep.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
using Floats = std::vector<float>;

// Compares bits, so that zeros of different signs differ. All NaNs are equal.
testing::AssertionResult same(const Floats& got, const Floats& want) {
  bool equal = got.size() == want.size();
  for (std::size_t i = 0; equal && i < got.size(); ++i) {
    const bool both_nan = std::isnan(got[i]) && std::isnan(want[i]);
    equal = both_nan || std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(want[i]);
  }
  if (equal) return testing::AssertionSuccess();
  return testing::AssertionFailure() << testing::PrintToString(got) << ", not " << testing::PrintToString(want);
}

Tensor row(const Floats& values) { return Tensor(values, Shape{static_cast<std::int64_t>(values.size())}); }

// d <y, dy> / d t for each tensor t, where y = f(tensors).
template <class F>
std::vector<Floats> gradients(F f, const std::vector<Tensor>& x, const Floats& dy = {}) {
  GradientTape tape;
  std::vector<Source> sources;
  for (const Tensor& t : x) {
    tape.watch(t);
    sources.emplace_back(t);
  }
  const Tensor y = f(x);
  const Tensor upstream = dy.empty() ? ones(y.shape(), y.dtype()) : reshape(row(dy), y.shape());
  std::vector<Floats> all;
  for (const Tensor& g : tape.gradient(y, sources, {.upstream = upstream})) all.push_back(g.to_vector<float>());
  return all;
}

class GradientValues : public testing::TestWithParam<std::tuple<std::string, MathMode>> {
 protected:
  void SetUp() override {
    const auto offered = describe(device_).modes;
    if (std::find(offered.begin(), offered.end(), std::get<1>(GetParam())) == offered.end()) GTEST_SKIP();
  }
  Device device_{std::get<0>(GetParam())};
  DeviceScope scope_{device_};
  MathModeScope mode_{std::get<1>(GetParam())};
};

// ----------------------------------------------------------------------------------------------------------------- NaN

TEST_P(GradientValues, OfAChoiceGoToNan) {
  const Tensor a = row({nan, 1, nan, 2, 3, -0.0f}), b = row({1, nan, nan, 2, 4, 0.0f});
  const auto of_max = gradients([](const auto& x) { return maximum(x[0], x[1]); }, {a, b});
  EXPECT_TRUE(same(of_max[0], {1, 0, 0.5f, 0.5f, 0, 0.5f}));
  EXPECT_TRUE(same(of_max[1], {0, 1, 0.5f, 0.5f, 1, 0.5f}));
  const auto of_min = gradients([](const auto& x) { return minimum(x[0], x[1]); }, {a, b});
  EXPECT_TRUE(same(of_min[0], {1, 0, 0.5f, 0.5f, 1, 0.5f}));
  EXPECT_TRUE(same(of_min[1], {0, 1, 0.5f, 0.5f, 0, 0.5f}));
  // The operand that was not chosen gets 0, even if the upstream gradient is infinite or NaN.
  const auto far = gradients([](const auto& x) { return maximum(x[0], x[1]); }, {row({1, 2}), row({2, 1})}, {inf, nan});
  EXPECT_TRUE(same(far[0], {0, nan}));
  EXPECT_TRUE(same(far[1], {inf, 0}));
}

TEST_P(GradientValues, OfExtremesOverAxesGoToNan) {
  const Tensor x = Tensor(Floats{1, nan, 3, nan, 5, nan, 2, 2, 1, 4, 0.0f, -0.0f}, Shape{4, 3});
  const auto of_max = gradients([](const auto& t) { return max(t[0], {.axes = {1}}); }, {x}, {1, 2, 3, 4});
  EXPECT_TRUE(same(of_max[0], {0, 1, 0, 1, 0, 1, 1.5f, 1.5f, 0, 4, 0, 0}));
  const auto of_min =
      gradients([](const auto& t) { return min(t[0], {.axes = {1}, .keep = true}); }, {x}, {1, 2, 3, 4});
  EXPECT_TRUE(same(of_min[0], {0, 1, 0, 1, 0, 1, 0, 0, 3, 0, 2, 2}));
  const auto all = gradients([](const auto& t) { return max(t[0]); }, {x});
  EXPECT_TRUE(same(all[0], {0, 1.0f / 3, 0, 1.0f / 3, 0, 1.0f / 3, 0, 0, 0, 0, 0, 0}));
  const auto infinite = gradients([](const auto& t) { return max(t[0]); }, {row({-inf, -inf, -inf, -inf})});
  EXPECT_TRUE(same(infinite[0], {0.25f, 0.25f, 0.25f, 0.25f}));
}

TEST_P(GradientValues, OfMaxPoolingGoToTheFirstNanAndToPositiveZero) {
  const Tensor x = Tensor(Floats{1, nan, nan, 2, -0.0f, -1, 0.0f, -2, 0.0f, -0.0f, -0.0f, -0.0f}, Shape{3, 2, 2, 1});
  EXPECT_TRUE(same(max_pool2d(x).to_vector<float>(), {nan, 0.0f, 0.0f}));
  const auto g = gradients([](const auto& t) { return max_pool2d(t[0]); }, {x}, {1, 2, 3});
  EXPECT_TRUE(same(g[0], {0, 1, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0}));
  const Tensor negative = Tensor(Floats{-0.0f, -0.0f, -1, -0.0f}, Shape{1, 2, 2, 1});
  EXPECT_TRUE(same(max_pool2d(negative).to_vector<float>(), {-0.0f}));
  EXPECT_TRUE(same(gradients([](const auto& t) { return max_pool2d(t[0]); }, {negative})[0], {1, 0, 0, 0}));
  // Many channels; the window of one of them has zeros of both signs.
  Floats wide(static_cast<std::size_t>(4 * 37), -3.0f);
  wide[20] = -0.0f;
  wide[3 * 37 + 20] = 0.0f;
  Floats pooled(37, -3.0f), chosen(static_cast<std::size_t>(4 * 37), 0.0f);
  std::fill_n(chosen.begin(), 37, 1.0f);
  pooled[20] = 0.0f;
  chosen[20] = 0;
  chosen[3 * 37 + 20] = 1;
  const Tensor many = Tensor(wide, Shape{1, 2, 2, 37});
  EXPECT_TRUE(same(max_pool2d(many).to_vector<float>(), pooled));
  EXPECT_TRUE(same(gradients([](const auto& t) { return max_pool2d(t[0]); }, {many})[0], chosen));
}

TEST_P(GradientValues, OfClip) {
  const Tensor x = row({nan, 1, 5, 2, -1, 5, 3, nan, 2, -0.0f}), low = row({0, 0, 0, nan, 0, 4, 3, nan, 7, 0.0f}),
               high = row({2, 2, 2, 2, 2, 1, 4, 1, nan, 1});
  const auto clipped = [](const auto& t) { return clip(t[0], t[1], t[2]); };
  EXPECT_TRUE(same(clip(x, low, high).to_vector<float>(), {nan, 1, 2, nan, 0, 1, 3, nan, nan, -0.0f}));
  const auto g = gradients(clipped, {x, low, high});
  EXPECT_TRUE(same(g[0], {0, 1, 0, 0, 0, 0, 1, 0, 0, 1}));
  EXPECT_TRUE(same(g[1], {0, 0, 0, 1, 1, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(same(g[2], {0, 0, 1, 0, 0, 1, 0, 0, 1, 0}));
  // A NaN upstream gradient propagates where x is NaN. Otherwise training would continue as if nothing were wrong.
  EXPECT_TRUE(same(gradients(clipped, {row({nan, 5}), row({0, 0}), row({1, 1})}, {nan, nan})[0], {nan, 0}));
}

TEST_P(GradientValues, ClipOfCrossingAndNanBounds) {
  const Tensor x = row({-3, 0, 2, 5, nan});
  EXPECT_TRUE(same(clip(x, 4.0, 1.0).to_vector<float>(), {1, 1, 1, 1, nan}));
  EXPECT_TRUE(same(clip(x, nan, 1.0).to_vector<float>(), {nan, nan, nan, nan, nan}));
  EXPECT_TRUE(same(clip(x, -1.0, nan).to_vector<float>(), {nan, nan, nan, nan, nan}));
  EXPECT_TRUE(same(clip(x, -inf, inf).to_vector<float>(), {-3, 0, 2, 5, nan}));
  const Tensor whole(std::vector<std::int32_t>{-3, 2, 9}, Shape{3});
  EXPECT_EQ(clip(whole, 5, 1).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 1, 1}));
  const Tensor wide(std::vector<double>{-3, 2, 9}, Shape{3});
  EXPECT_EQ(clip(wide, 5.0, 1.0).to_vector<double>(), (std::vector<double>{1, 1, 1}));
  for (const DType t : {f16, bf16}) {
    EXPECT_TRUE(same(cast(clip(cast(x, t), 4.0, 1.0), f32).to_vector<float>(), {1, 1, 1, 1, nan}));
    EXPECT_TRUE(same(cast(clip(cast(x, t), nan, 1.0), f32).to_vector<float>(), {nan, nan, nan, nan, nan}));
  }
}

TEST_P(GradientValues, OfPowByTheExponent) {
  const Tensor x = row({0, 0, -2, -2, nan, 2, 1, inf, inf, 0, nan}), y = row({-1, 0, 2, 0.5f, 2, 3, inf, -1, 2, 2, 0});
  const auto g = gradients([](const auto& t) { return pow(t[0], t[1]); }, {x, y});
  const Floats want = {-inf, 0, nan, nan, nan, 8 * std::log(2.0f), 0, 0, inf, 0, nan};
  ASSERT_EQ(g[1].size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (std::isfinite(want[i])) {
      EXPECT_NEAR(g[1][i], want[i], 1e-5) << i;
    } else {
      EXPECT_TRUE(same({g[1][i]}, {want[i]})) << i;
    }
  }
}

// The gradient of <dx, d y / d x> by x, where y = f(x): the second derivatives, times dx.
template <class F>
Floats second_derivatives(F f, const Tensor& x) {
  GradientTape outer;
  outer.watch(x);
  GradientTape inner;
  inner.watch(x);
  const Tensor slope = inner.gradient(sum(f(x)), x);
  return outer.gradient(sum(slope), x, {.unconnected = Unconnected::zero}).to_vector<float>();
}

// Second derivatives of x^y: y (y - 1) x^(y-2), also where x^y and its slope overflow.
TEST_P(GradientValues, OfTheSlopeOfPowWithIntegerExponents) {
  const Tensor x = row({3e38f, inf, -3e38f, -inf, 0, -0.0f, 1e20f, -1e20f});
  const auto by = [&](double y) { return second_derivatives([&](const Tensor& t) { return pow(t, y); }, x); };
  EXPECT_TRUE(same(by(1), {0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(same(by(2), {2, 2, 2, 2, 2, 2, 2, 2}));
  const Floats cubes = by(3), want = {inf, inf, -inf, -inf, 0, -0.0f, 6e20f, -6e20f};
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (std::isfinite(want[i])) {
      EXPECT_NEAR(cubes[i], want[i], std::abs(want[i]) * 1e-6f) << i;
    } else {
      EXPECT_EQ(cubes[i], want[i]) << i;
    }
  }
  EXPECT_TRUE(same(by(0), {0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(
      same(second_derivatives([](const Tensor& t) { return pow(t, -1.0); }, row({inf, 2, -2})), {0, 0.25f, -0.25f}));
}

// With the exponent as a tensor: mpmath, for x = 1.5, y = 2.5 and the three second derivatives
// y (y-1) x^(y-2), x^(y-1) (1 + y log x) and x^y log(x)^2.
TEST_P(GradientValues, OfTheSlopesOfPowByBothOperands) {
  const Tensor x = row({1.5f}), y = row({2.5f});
  const auto by = [&](bool base) {
    GradientTape outer;
    outer.watch(x);
    outer.watch(y);
    GradientTape inner;
    inner.watch(x);
    inner.watch(y);
    const Tensor slope = inner.gradient(sum(pow(x, y)), base ? x : y);
    const std::vector<Tensor> second = outer.gradient(sum(slope), {x, y});
    return Floats{second[0].item<float>(), second[1].item<float>()};
  };
  const Floats of_base = by(true), of_exponent = by(false);
  EXPECT_NEAR(of_base[0], 4.59279327, 1e-5);
  EXPECT_NEAR(of_base[1], 3.69933473, 1e-5);
  EXPECT_NEAR(of_exponent[0], 3.69933473, 1e-5);
  EXPECT_NEAR(of_exponent[1], 0.453038512, 1e-5);
}

TEST_P(GradientValues, OfAbsAtZeroAndNan) {
  const Tensor x = row({0.0f, -0.0f, 0.0f, -0.0f, nan, -nan, 3, -3, inf, -inf});
  const auto g = gradients([](const auto& t) { return abs(t[0]); }, {x}, {2, 2, -2, -2, 1, -1, 5, 5, 1, 1});
  EXPECT_TRUE(same(g[0], {0, 0, 0, 0, nan, nan, 5, -5, 1, -1}));
}

TEST_P(GradientValues, OfTheSlopeOfAbsIsZeroWhereverThereIsOne) {
  const Tensor x = row({2, -3, 0, -0.0f, inf, -inf, nan});
  GradientTape outer;
  outer.watch(x);
  GradientTape inner;
  inner.watch(x);
  const Tensor slope = inner.gradient(sum(abs(x)), x);
  const Floats second = outer.gradient(sum(slope), x, {.unconnected = Unconnected::zero}).to_vector<float>();
  for (std::size_t i = 0; i < second.size(); ++i)
    EXPECT_TRUE(second[i] == 0 || (std::isnan(second[i]) && i == 6)) << i << ": " << second[i];
}

TEST_P(GradientValues, OfReluAreSelectedNotMultiplied) {
  const Tensor x = row({0.0f, -0.0f, -1, -1, -1, nan, 2, inf});
  const auto g = gradients([](const auto& t) { return relu(t[0]); }, {x}, {-1, -1, inf, nan, -1, 1, -3, 2});
  EXPECT_TRUE(same(g[0], {0, 0, 0, 0, 0, 1, -3, 2}));
}

// ------------------------------------------------------------------------------------------------------------ overflow

TEST_P(GradientValues, AreFiniteWhereTheirFactorsAreNot) {
  const float tiny = 1e-42f;  // subnormal: 1 / tiny is infinite
  const auto one = [&](auto f, float x, float dy) {
    return gradients([&](const auto& t) { return f(t[0]); }, {row({x})}, {dy})[0][0];
  };
  EXPECT_EQ(one([](const Tensor& x) { return log(x); }, tiny, tiny), 1);
  EXPECT_EQ(one([](const Tensor& x) { return x / 1e-42; }, 1, tiny), 1);
  EXPECT_NEAR(one([](const Tensor& x) { return 1.0 / x; }, 1e-30f, 1e-30f) / -1e30f, 1, 1e-6);
  EXPECT_NEAR(one([](const Tensor& x) { return sqrt(x); }, tiny, tiny) / (0.5f * std::sqrt(tiny)), 1, 1e-6);
  EXPECT_NEAR(one([](const Tensor& x) { return rsqrt(x); }, tiny, tiny) / (-0.5f / std::sqrt(tiny)), 1, 1e-6);
  EXPECT_NEAR(one([](const Tensor& x) { return rsqrt(x); }, 1e30f, 1e30f) / -0.5e-15f, 1, 1e-6);
  EXPECT_NEAR(one([](const Tensor& x) { return pow(x, -1.0); }, 1e-20f, 1e-20f) / -1e20f, 1, 1e-5);
  EXPECT_NEAR(one([](const Tensor& x) { return pow(x, -1.0); }, 1e20f, 1e20f) / -1e-20f, 1, 1e-5);
  EXPECT_NEAR(one([](const Tensor& x) { return pow(x, -0.5); }, tiny, tiny) / (-0.5f / std::sqrt(tiny)), 1, 1e-5);
}

TEST_P(GradientValues, OfErfAreZeroAtInfinityInEveryOrder) {
  const Tensor x = row({inf, -inf, 1e30f, -1e30f});
  GradientTape outer, middle;
  outer.watch(x);
  middle.watch(x);
  const Tensor first = [&] {
    GradientTape inner;
    inner.watch(x);
    return inner.gradient(erf(x), x, {.upstream = ones({4})});
  }();
  const Tensor second = middle.gradient(first, x, {.upstream = ones({4})});
  const Tensor third = outer.gradient(second, x, {.upstream = ones({4})});
  for (const Tensor& g : {first, second, third}) EXPECT_EQ(g.to_vector<float>(), (Floats{0, 0, 0, 0}));
}

// ------------------------------------------------------------------------------------------------------- cross-entropy

TEST_P(GradientValues, CrossEntropyOfAClassThatCannotBe) {
  const Tensor logits = Tensor(Floats{0, -inf, 1}, Shape{1, 3}), target = Tensor(Floats{1, 0, 0}, Shape{1, 3});
  EXPECT_NEAR(cross_entropy(logits, target).to_vector<float>()[0], 1.31326169, 1e-6);
  EXPECT_NEAR(cross_entropy(cast(logits, f64), cast(target, f64)).to_vector<double>()[0], 1.3132616875182228, 1e-14);
  const auto g = gradients([&](const auto& t) { return cross_entropy(t[0], target); }, {logits});
  EXPECT_NEAR(g[0][0], -0.731058579, 1e-6);
  EXPECT_EQ(g[0][1], 0);
  EXPECT_NEAR(g[0][2], 0.731058579, 1e-6);
  // A target class of probability 0 gives an infinite loss. NaN propagates.
  EXPECT_TRUE(same(cross_entropy(logits, Tensor(Floats{0, 1, 0}, Shape{1, 3})).to_vector<float>(), {inf}));
  const Tensor broken = Tensor(Floats{0, nan, 1}, Shape{1, 3});
  EXPECT_TRUE(same(cross_entropy(broken, target).to_vector<float>(), {nan}));
  EXPECT_TRUE(same(cross_entropy(broken, zeros({1, 3})).to_vector<float>(), {nan}));
  {
    GradientTape tape;  // a tape that watches makes the op decompose
    tape.watch(broken);
    EXPECT_TRUE(same(cross_entropy(broken, zeros({1, 3})).to_vector<float>(), {nan}));
  }
  // Strided, and longer than what a kernel processes at once.
  Floats long_logits(3000, 0.0f), long_targets(3000, 0.0f);
  for (std::size_t i = 1; i < 3000; i += 2) long_logits[i] = -inf;
  long_targets[0] = 1;
  const Tensor columns = transpose(Tensor(long_logits, Shape{3000, 1})), wanted = Tensor(long_targets, Shape{1, 3000});
  EXPECT_NEAR(cross_entropy(columns, wanted).to_vector<float>()[0], std::log(1500.0), 1e-5);
}

TEST_P(GradientValues, CrossEntropyOfNoClasses) {
  const Tensor labels = zeros({2}, i64);
  for (DType t : {f16, bf16, f32, f64}) {
    SCOPED_TRACE(name_of(t));
    const Tensor logits = zeros({2, 0}, t);
    const auto sparse = [&](const Tensor& x) { return sparse_cross_entropy(x, labels); };
    const auto expect_values = [&] {
      EXPECT_TRUE(same(cast(cross_entropy(logits, logits), f32).to_vector<float>(), {-0.0f, -0.0f}));
      EXPECT_TRUE(same(cast(sparse(logits), f32).to_vector<float>(), {nan, nan}));
    };
    expect_values();
    GradientTape tape({.persistent = true});  // a tape that watches makes the op decompose
    tape.watch(logits);
    expect_values();
    EXPECT_EQ(tape.gradient(sum(sparse(logits)), logits).spec(), logits.spec());
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, GradientValues,
                         testing::Combine(testing::ValuesIn(available_devices()),
                                          testing::Values(MathMode::strict, MathMode::fast, MathMode::lockstep)),
                         [](const auto& p) {
                           return test_name_of(std::get<0>(p.param)) + "_" + std::string(name_of(std::get<1>(p.param)));
                         });

}  // namespace
}  // namespace lockstep
