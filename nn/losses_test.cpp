// Tests of losses and metrics: values from mpmath, gradients, and labels of every shape and dtype that fits the
// predictions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lockstep/lockstep.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();

void expect_error(ErrorId id, const std::string& part, const std::function<void()>& act) {
  expect_error_saying(act, id, {part}, nullptr, true);
}

class OnEveryDevice : public testing::TestWithParam<std::string> {
 protected:
  DeviceScope scope{Device(GetParam())};
};

class BinaryCrossentropy : public OnEveryDevice {};
class Metrics : public OnEveryDevice {};

const auto every_device = testing::ValuesIn(available_devices());
INSTANTIATE_TEST_SUITE_P(Devices, BinaryCrossentropy, every_device, &by_driver);
INSTANTIATE_TEST_SUITE_P(Devices, Metrics, every_device, &by_driver);

// Values of -(t log p + (1 - t) log(1 - p)) with p = 1 / (1 + exp(-x)), and its first and second derivative with
// respect to x, from mpmath with 120 digits.
struct Exact {
  double x, t, loss, slope, curvature;
};
constexpr Exact exact[] = {
    {0, 0, 0.69314718055994531, 0.5, 0.25},
    {0, 1, 0.69314718055994531, -0.5, 0.25},
    {0, 0.25, 0.69314718055994531, 0.25, 0.25},
    {1.5, 0, 1.7014132779827524, 0.81757447619364366, 0.14914645207033286},
    {1.5, 1, 0.20141327798275241, -0.18242552380635634, 0.14914645207033286},
    {1.5, 0.25, 1.3264132779827524, 0.56757447619364366, 0.14914645207033286},
    {-2.25, 0, 0.10020655891674721, 0.095349464899109494, 0.086257944442562981},
    {-2.25, 1, 2.3502065589167472, -0.90465053510089051, 0.086257944442562981},
    {-2.25, 0.25, 0.66270655891674721, -0.15465053510089051, 0.086257944442562981},
    {20, 0, 20.000000002061154, 0.99999999793884638, 2.0611536139418493e-9},
    {20, 1, 2.0611536203143807e-9, -2.0611536181902036e-9, 2.0611536139418493e-9},
    {20, 0.25, 15.000000002061154, 0.74999999793884638, 2.0611536139418493e-9},
    {-20, 0, 2.0611536203143807e-9, 2.0611536181902036e-9, 2.0611536139418493e-9},
    {-20, 1, 20.000000002061154, -0.99999999793884638, 2.0611536139418493e-9},
    {-20, 0.25, 5.0000000020611536, -0.24999999793884638, 2.0611536139418493e-9},
    {40, 0, 40.0, 1.0, 4.248354255291589e-18},
    {40, 1, 4.248354255291589e-18, -4.248354255291589e-18, 4.248354255291589e-18},
    {40, 0.25, 30.0, 0.75, 4.248354255291589e-18},
    {-60, 0, 8.7565107626965203e-27, 8.7565107626965203e-27, 8.7565107626965203e-27},
    {-60, 1, 60.0, -1.0, 8.7565107626965203e-27},
    {-60, 0.25, 15.0, -0.25, 8.7565107626965203e-27},
    {0.0009765625, 0, 0.69363558101923012, 0.50024414060559745, 0.2499999403953647},
    {0.0009765625, 1, 0.69265901851923012, -0.49975585939440255, 0.2499999403953647},
    {0.0009765625, 0.25, 0.69339144039423012, 0.25024414060559745, 0.2499999403953647},
    {3, 0, 3.0485873515737421, 0.95257412682243322, 0.045176659730912133},
    {3, 1, 0.048587351573742059, -0.047425873177566781, 0.045176659730912133},
    {3, 0.25, 2.2985873515737421, 0.70257412682243322, 0.045176659730912133},
};

void expect_close(double given, double expected, double relative, const Exact& e, const char* what) {
  EXPECT_NEAR(given, expected, relative * std::fabs(expected)) << what << " at x " << e.x << ", target " << e.t;
}

TEST_P(BinaryCrossentropy, KeepsItsDigitsWhereverTheLogitLies) {
  // About ten roundings; exp and sigmoid each account for two or three of them.
  for (const auto& [dtype, relative] : {std::pair{DType::f32, 2e-6}, {DType::f64, 4e-15}}) {
    for (const Exact& e : exact) {
      const Tensor x = cast(Tensor({e.x}), dtype), t = cast(Tensor({e.t}), dtype);
      GradientTape outer;
      outer.watch(x);
      GradientTape inner;
      inner.watch(x);
      const Tensor loss = losses::binary_crossentropy(x, t);
      EXPECT_EQ(loss.rank(), 0);
      const Tensor slope = inner.gradient(loss, x);
      const auto number = [](const Tensor& value) { return cast(reshape(value, Ints{}), DType::f64).item<double>(); };
      expect_close(number(loss), e.loss, relative, e, "loss");
      expect_close(number(slope), e.slope, relative, e, "slope");
      expect_close(number(outer.gradient(sum(slope), x)), e.curvature, 2 * relative, e, "curvature");
    }
  }
}

TEST_P(BinaryCrossentropy, IsTheMeanOfAllElements) {
  const Tensor x({0.3f, -1.2f, 2.5f, 4.0f}), t({1, 0, 1, 0});
  EXPECT_NEAR(losses::binary_crossentropy(x, t).item<float>(), 1.2286693435042294, 1e-6);
  EXPECT_NEAR(losses::binary_crossentropy(reshape(x, {2, 2}), reshape(t, {2, 2})).item<float>(), 1.2286693435042294,
              1e-6);
}

TEST_P(BinaryCrossentropy, InfiniteLogitsAndNan) {
  const auto loss = [](float x, float t) {
    return losses::binary_crossentropy(Tensor({x}), Tensor({t})).item<float>();
  };
  EXPECT_EQ(loss(inf, 1), 0);
  EXPECT_EQ(loss(-inf, 0), 0);
  EXPECT_EQ(loss(inf, 0), inf);
  EXPECT_EQ(loss(-inf, 1), inf);
  EXPECT_EQ(loss(inf, 0.5f), inf);
  EXPECT_TRUE(std::isnan(loss(nan_value, 0)));
  EXPECT_TRUE(std::isnan(loss(nan_value, 1)));
  EXPECT_TRUE(std::isnan(loss(1, nan_value)));
  const auto slope = [](float x, float t) {
    const Variable v(Tensor({x}), "v");
    GradientTape tape;
    return tape.gradient(losses::binary_crossentropy(v, Tensor({t})), v).to_vector<float>()[0];
  };
  EXPECT_EQ(slope(inf, 1), 0);
  EXPECT_EQ(slope(inf, 0), 1);
  EXPECT_EQ(slope(-inf, 1), -1);
  EXPECT_EQ(slope(-inf, 0), 0);
  EXPECT_TRUE(std::isnan(slope(nan_value, 0)));
}

TEST(LockstepLosses, BinaryCrossentropyHasTheSameBitsEverywhere) {
  const std::vector<float> x = {0, -0.0f, 1.5f, -2.25f, 20, -20, 88.5f, -104, 1e-30f, inf, -inf};
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::vector<std::byte>> first;
  for (const DeviceInfo& info : devices()) {
    const auto offers = std::find(info.modes.begin(), info.modes.end(), MathMode::lockstep) != info.modes.end();
    if (!info.available || !offers) continue;
    const DeviceScope scope{Device(info.id)};
    const MathModeScope mode(MathMode::lockstep);
    std::vector<std::vector<std::byte>> all;
    for (float target : {0.0f, 1.0f, 0.3f}) {
      for (std::int64_t i = 0; i < n; ++i) {
        const Variable logit(Tensor({x[static_cast<std::size_t>(i)]}), "logit");
        GradientTape tape;
        const Tensor loss = losses::binary_crossentropy(logit, Tensor({target}));
        all.push_back(loss.to_bytes());
        all.push_back(tape.gradient(loss, logit).to_bytes());
      }
    }
    if (first.empty()) first = all;
    EXPECT_EQ(all, first) << info.id;
  }
}

TEST_P(BinaryCrossentropy, GradientsOfBothOperands) {
  const Tensor x = random_normal({3, 2}, 0, 3, {.dtype = DType::f64, .key = RandomKey{1, 2}}),
               t = random_uniform({3, 2}, 0.1, 0.9, {.dtype = DType::f64, .key = RandomKey{1, 3}});
  const GradcheckResult result =
      gradcheck([](const std::vector<Tensor>& in) { return losses::binary_crossentropy(in[0], in[1]); }, {x, t});
  EXPECT_TRUE(result.ok) << result.text;
  const GradcheckResult weighted =
      gradcheck([](const std::vector<Tensor>& in) { return losses::binary_crossentropy(in[0], in[1]) * in[2]; },
                {x, t, Tensor(1.5)});
  EXPECT_TRUE(weighted.ok) << weighted.text << ": with a weight, what reaches the loss is not a constant";
  const Variable target(Tensor({0.0f, 1.0f}), "target");
  GradientTape tape;
  const Tensor loss = losses::binary_crossentropy(Tensor({3.0f, -2.0f}), target);
  EXPECT_EQ(tape.gradient(loss, target).to_vector<float>(), (std::vector<float>{-1.5f, 1}));  // -x / 2
}

TEST_P(BinaryCrossentropy, TakesLabelsOfAnyDtypeAndOfEitherShape) {
  const Tensor column = reshape(Tensor({0.3f, -1.2f, 2.5f, 4.0f}), {4, 1}), flat = reshape(column, {4});
  const Tensor labels({1, 0, 1, 0});
  const float expected = losses::binary_crossentropy(flat, cast(labels, DType::f32)).item<float>();
  for (DType dtype : {DType::boolean, DType::u8, DType::i8, DType::i32, DType::i64, DType::f32}) {
    for (const Tensor& x : {column, flat}) {
      for (const Tensor& t : {labels, reshape(labels, {4, 1})})
        EXPECT_EQ(losses::binary_crossentropy(x, cast(t, dtype)).item<float>(), expected) << name_of(dtype);
    }
  }
  for (const Shape& shape : {Shape{1, 4}, {2, 2}, {4, 2}, {1}, {}}) {
    const Tensor t = zeros(shape);
    expect_error(ErrorId::shapes_differ, "binary_crossentropy", [&] { losses::binary_crossentropy(column, t); });
  }
  expect_error(ErrorId::dtypes_differ, "binary_cross_entropy",
               [&] { losses::binary_crossentropy(column, cast(labels, DType::f64)); });
}

TEST_P(BinaryCrossentropy, HalfWidthIsComputedInF32) {
  for (DType dtype : {DType::f16, DType::bf16}) {
    const Tensor x = cast(Tensor({20.0f, -1.5f}), dtype), t({1, 0});
    const Tensor loss = losses::binary_crossentropy(x, t);
    EXPECT_EQ(loss.dtype(), dtype);
    EXPECT_NEAR(cast(loss, DType::f32).item<float>(), 0.1007066, 0.1007066 / 128) << name_of(dtype);
  }
}

TEST_P(BinaryCrossentropy, OfProbabilities) {
  const losses::Loss loss = losses::BinaryCrossentropy{.from_logits = false};
  const Tensor p({0.3f, 0.9f, 0.5f}), t({1, 0, 1});
  EXPECT_EQ(loss.name, "binary_crossentropy");
  EXPECT_NEAR(loss.compute(p, t).item<float>(), 1.3999016926266423, 1e-6);
  // Probabilities are clipped to [1e-7, 1 - 1e-7].
  EXPECT_NEAR(loss.compute(Tensor({0.0f}), Tensor({1})).item<float>(), 16.118, 0.001);
  EXPECT_NEAR(loss.compute(Tensor({1.0f}), Tensor({0})).item<float>(), 16.118, 0.001);
  EXPECT_LT(loss.compute(Tensor({1.0f}), Tensor({1})).item<float>(), 1e-6);
  const losses::Loss logits = losses::BinaryCrossentropy{};
  EXPECT_NEAR(logits.compute(Tensor({0.0f}), Tensor({1})).item<float>(), 0.6931472, 1e-7);
}

// ------------------------------------------------------------------------------------------------------------- metrics

float value_of(const metrics::Metric& metric, const Tensor& predictions, const Tensor& labels) {
  return metric.sum(predictions, labels).item<float>() / static_cast<float>(predictions.shape()[0]);
}

TEST_P(Metrics, AccuracyRefusesOneOutputPerRowWhateverTheLabelsShape) {
  const metrics::Metric accuracy = metrics::Accuracy{};
  const Tensor flat({0.9f, 0.8f, 0.1f}), column = reshape(flat, {3, 1});
  for (const Tensor& p : {flat, column}) {
    for (const Tensor& labels : {Tensor({0, 0, 1}), reshape(Tensor({0, 0, 1}), {3, 1}), Tensor({0.0f, 0.0f, 1.0f})})
      expect_error(ErrorId::shapes_differ, "BinaryAccuracy", [&] { accuracy.sum(p, labels); });
  }
}

TEST_P(Metrics, AccuracyCountsRowsWhoseLargestIsAtTheLabel) {
  const metrics::Metric accuracy = metrics::Accuracy{};
  const Tensor p = reshape(Tensor({0.1f, 0.7f, 0.2f, 0.5f, 0.3f, 0.2f, 0.0f, 0.1f, 0.9f, 0.4f, 0.5f, 0.1f}), {4, 3});
  const Tensor labels({1, 0, 1, 2});  // two predictions are right
  for (DType dtype : {DType::u8, DType::i8, DType::i32, DType::i64, DType::f32, DType::f64}) {
    EXPECT_EQ(value_of(accuracy, p, cast(labels, dtype)), 0.5f) << name_of(dtype);
    EXPECT_EQ(value_of(accuracy, p, reshape(cast(labels, dtype), {4, 1})), 0.5f) << "labels (n, 1), " << name_of(dtype);
  }
  const Tensor rows = reshape(Tensor({0.0f, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1.0f}), {4, 3});
  EXPECT_EQ(value_of(accuracy, p, rows), 0.5f);
  for (DType dtype : {DType::boolean, DType::u8, DType::i8, DType::i32, DType::i64, DType::f64})
    EXPECT_EQ(value_of(accuracy, p, cast(rows, dtype)), 0.5f) << "one-hot, " << name_of(dtype);
  EXPECT_EQ(value_of(accuracy, p, Tensor({0.9f, 0.5f, 1.2f, 2.5f})), 0.0f) << "0.9 is not a class";
  for (const Shape& shape : {Shape{2}, {1, 4}, {4, 2}, {4, 1, 1}})
    expect_error(ErrorId::shapes_differ, "accuracy", [&] { accuracy.sum(p, zeros(shape, DType::i32)); });
}

TEST_P(Metrics, AccuracyCountsRowsWithNanAsWrong) {
  for (int column : {0, 1, 2}) {
    std::vector<float> row = {0.25f, 0.25f, 0.25f};
    row[static_cast<std::size_t>(column)] = nan_value;
    const Tensor p(row, {1, 3});
    for (int label : {0, 1, 2}) EXPECT_EQ(value_of(metrics::Accuracy{}, p, Tensor({label})), 0.0f) << column << label;
  }
  const Tensor lost = full({4, 3}, nan_value);
  EXPECT_EQ(value_of(metrics::Accuracy{}, lost, zeros({4}, DType::i64)), 0.0f);
}

TEST_P(Metrics, AccuracyOfSeveralRowsPerExampleIsAShareToo) {
  const Tensor p = reshape(Tensor({0.1f, 0.7f, 0.6f, 0.3f, 0.2f, 0.8f, 0.4f, 0.5f}), {2, 2, 2});
  EXPECT_EQ(value_of(metrics::Accuracy{}, p, reshape(Tensor({1, 0, 1, 0}), {2, 2})), 0.75f);
}

TEST_P(Metrics, ExamplesWithoutRowsCountNothing) {
  EXPECT_EQ(value_of(metrics::Accuracy{}, zeros({2, 0, 3}), zeros({2, 0}, DType::i32)), 0.0f);
  EXPECT_EQ(value_of(metrics::BinaryAccuracy{}, zeros({2, 0}), zeros({2, 0})), 0.0f);
}

TEST_P(Metrics, AccuracyKeepsClassesApartThatShareTheirLowByte) {
  const Tensor p = cast(equal(arange(400, DType::i32), 300), DType::f32);
  EXPECT_EQ(value_of(metrics::Accuracy{}, reshape(p, {1, 400}), cast(Tensor({44}), DType::u8)), 0.0f);
}

TEST_P(Metrics, BinaryAccuracyCountsOutputsOnTheRightSide) {
  const Tensor flat({0.9f, 0.8f, 0.1f, 0.5f}), labels({0, 1, 0, 0});  // all but the first are right
  const metrics::Metric metric = metrics::BinaryAccuracy{.from_logits = false};
  EXPECT_EQ(metric.name, "binary_accuracy");
  for (DType dtype : {DType::boolean, DType::u8, DType::i32, DType::i64, DType::f32, DType::f64}) {
    for (const Tensor& p : {flat, reshape(flat, {4, 1})}) {
      for (const Tensor& t : {labels, reshape(labels, {4, 1})})
        EXPECT_EQ(value_of(metric, p, cast(t, dtype)), 0.75f) << name_of(dtype);
    }
  }
  EXPECT_EQ(value_of(metric, flat, Tensor({0, 0, 1, 1})), 0.0f) << "all are wrong";
  const metrics::Metric strict = metrics::BinaryAccuracy{.from_logits = false, .threshold = 0.85};
  EXPECT_EQ(value_of(strict, flat, Tensor({1, 0, 0, 0})), 1.0f);
  const metrics::Metric logits = metrics::BinaryAccuracy{};
  EXPECT_EQ(value_of(logits, Tensor({0.2f, -0.2f, 3.0f, 0.0f}), Tensor({1, 0, 1, 0})), 1.0f) << "0 is p = 0.5";
  // sigmoid(1) is 0.73.
  EXPECT_EQ(value_of(metrics::BinaryAccuracy{.threshold = 0.75}, Tensor({1.0f, 1.2f}), Tensor({0, 1})), 1.0f);
  EXPECT_EQ(value_of(metric, reshape(flat, {2, 2}), reshape(labels, {2, 2})), 0.75f) << "several outputs per example";
  EXPECT_EQ(value_of(logits, Tensor({nan_value, nan_value}), Tensor({0, 1})), 0.0f) << "NaN is never right";
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Tensor lost = cast(Tensor({nan_value, nan_value, 0.0f, 1.0f}), dtype);
    EXPECT_EQ(value_of(logits, Tensor({-1.0f, 1.0f, -1.0f, 1.0f}), lost), 0.5f) << "nor is a label of NaN";
  }
  expect_error(ErrorId::shapes_differ, "binary_accuracy", [&] { metric.sum(flat, Tensor({0, 1})); });
  expect_error(ErrorId::shapes_differ, "binary_accuracy", [&] { metric.sum(flat, reshape(labels, {1, 4})); });
}

TEST(MetricOptions, ThresholdsAreProbabilities) {
  for (double threshold : {0.0, 1.0, -0.5, std::nan("")}) {
    expect_error(ErrorId::invalid_attribute, "threshold",
                 [&] { const metrics::Metric m = metrics::BinaryAccuracy{.threshold = threshold}; });
  }
}

TEST(Losses, SparseCategoricalTakesEveryIntegerAndProbabilities) {
  const DeviceScope scope(Device("reference"));
  // log(1 + e + e^2) - 1 = 1.40760596
  const Tensor logits = reshape(Tensor({0.0f, 1.0f, 2.0f}), {1, 3});
  for (DType dtype : {DType::u8, DType::i8, DType::i32, DType::i64})
    EXPECT_NEAR(losses::sparse_categorical_crossentropy(logits, cast(Tensor({1}), dtype)).item<float>(), 1.40760596,
                1e-6);
  const losses::Loss given = losses::SparseCategoricalCrossentropy{.from_logits = false};
  const Tensor p = reshape(Tensor({0.2f, 0.5f, 0.3f}), {1, 3});
  EXPECT_NEAR(given.compute(p, Tensor({1})).item<float>(), 0.69314718, 1e-6);
  // Probabilities below 1e-7 count as 1e-7.
  EXPECT_NEAR(given.compute(reshape(Tensor({0.0f, 1.0f}), {1, 2}), Tensor({0})).item<float>(), 16.118, 0.001);
  EXPECT_TRUE(given.sparse_labels);
  const losses::Loss rows = losses::CategoricalCrossentropy{.from_logits = false};
  EXPECT_NEAR(rows.compute(p, reshape(Tensor({0.0f, 0.0f, 1.0f}), {1, 3})).item<float>(), 1.2039728, 1e-6);
  EXPECT_FALSE(rows.sparse_labels);
  EXPECT_NEAR(losses::categorical_crossentropy(logits, reshape(Tensor({0.0f, 1.0f, 0.0f}), {1, 3})).item<float>(),
              1.40760596, 1e-6);
}

TEST(Losses, OfClassesRefuseASingleOutput) {
  const DeviceScope scope(Device("reference"));
  const losses::Loss all[] = {losses::SparseCategoricalCrossentropy{}, losses::CategoricalCrossentropy{},
                              losses::SparseCategoricalCrossentropy{.from_logits = false}};
  for (const losses::Loss& loss : all) {
    for (const Shape& shape : {Shape{3, 1}, {3, 2, 1}})
      expect_error(ErrorId::shapes_differ, "nothing to choose from", [&] { loss.compute(ones(shape), ones(shape)); });
  }
}

TEST(Losses, MeanSquaredErrorNeverBroadcasts) {
  const DeviceScope scope(Device("reference"));
  EXPECT_EQ(losses::mean_squared_error(Tensor({1.0f, 2.0f}), Tensor({3.0f, -1.0f})).item<float>(), 6.5f);
  expect_error(ErrorId::shapes_differ, "losses never broadcast", [] {
    losses::mean_squared_error(ones({4, 1}), ones({4}));
  });
}

}  // namespace
}  // namespace lockstep
