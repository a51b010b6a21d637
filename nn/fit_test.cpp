// Tests of fit, evaluate and predict: their results, their side effects and their errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "nn/test_points.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep::nn {
namespace {

class FitTest : public testing::TestWithParam<std::string> {
 protected:
  Model make(std::vector<metrics::Metric> metrics = {metrics::Accuracy{}}) {
    set_seed(11);
    Model model(Sequential(Dense{.units = 16}, Tanh{}, Dense{.units = 3}));
    model.build({2});
    model.compile({.optimizer = optim::Adam{.learning_rate = 0.02},
                   .loss = losses::SparseCategoricalCrossentropy{},
                   .metrics = std::move(metrics)});
    return model;
  }
  static Fit quiet(std::int64_t epochs = 1) { return {.epochs = epochs, .verbose = Verbose::silent}; }

  Device device{GetParam()};
  DeviceScope scope{device};
};

void expect_error(ErrorId id, const std::string& part, const std::function<void()>& act) {
  expect_error_saying(act, id, {part}, "fit_test.cpp:", true);
}

TEST_P(FitTest, LearnsATinyProblem) {
  Model model = make();
  const History history = model.fit(points(256), quiet(20));
  ASSERT_EQ(history.size(), 20u);
  EXPECT_GT(history.front().values.at("loss"), 0.7);
  EXPECT_LT(history.back().values.at("loss"), 0.2);
  EXPECT_GT(history.back().values.at("accuracy"), 0.95);
  EXPECT_GT(model.evaluate(points(100, 2)).at("accuracy"), 0.9) << "on examples that it has not seen";
}

TEST_P(FitTest, HistoryTellsWhatHappened) {
  Model model = make();
  Fit options = quiet(2);
  options.batch_size = 30;
  options.validation = points(40, 3);
  std::vector<std::pair<std::int64_t, std::int64_t>> steps;
  options.on_step = [&](const StepInfo& s) { steps.emplace_back(s.epoch, s.step); };
  const History history = model.fit(points(100), options);
  for (const EpochResult& epoch : history) {
    EXPECT_EQ(epoch.steps, 4) << "the last batch has 10 examples";
    EXPECT_EQ(epoch.examples, 100);
    EXPECT_GT(epoch.seconds, 0);
    EXPECT_EQ(epoch.values.size(), 4u);
    for (const char* name : {"loss", "accuracy", "val_loss", "val_accuracy"})
      EXPECT_TRUE(epoch.values.contains(name)) << name;
  }
  EXPECT_EQ(steps.size(), 8u);
  EXPECT_EQ(steps.back(), (std::pair<std::int64_t, std::int64_t>{2, 4}));
  EXPECT_EQ(model.optimizer().steps(), 8);
  const auto again = model.evaluate(points(40, 3), 30);
  EXPECT_EQ(again.at("loss"), history.back().values.at("val_loss"));
}

TEST_P(FitTest, StopsAfterTheStepsAskedFor) {
  Model model = make();
  Fit options = quiet(5);
  options.batch_size = 10;
  options.steps = 13;
  const History history = model.fit(points(100), options);
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0].steps, 10);
  EXPECT_EQ(history[1].steps, 3);
  EXPECT_EQ(history[1].examples, 30);
  EXPECT_EQ(model.optimizer().steps(), 13);
}

TEST_P(FitTest, StepsAloneTakeAsManyEpochsAsTheyNeed) {
  Model model = make();
  const History history = model.fit(points(40), {.steps = 15, .batch_size = 7, .verbose = Verbose::silent});
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history[0].steps, 6) << "the last batch has 5 examples";
  EXPECT_EQ(history[2].steps, 3);
  EXPECT_EQ(model.optimizer().steps(), 15);
  EXPECT_EQ(model.fit(points(40), {.verbose = Verbose::silent}).size(), 1u) << "neither: one epoch";
}

TEST_P(FitTest, OptionsOutsideTheirRangeAreNamed) {
  Model model = make();
  const auto refuse = [&](const std::string& part, const Fit& options) {
    expect_error(ErrorId::invalid_attribute, part, [&] { model.fit(points(4), options); });
  };
  refuse("epochs is -1", {.epochs = -1});
  refuse("steps is -2", {.steps = -2});
  refuse("batch_size is 0", {.batch_size = 0});
  expect_error(ErrorId::invalid_attribute, "batch_size is -3", [&] { model.evaluate(points(4), -3); });
  EXPECT_EQ(model.optimizer().steps(), 0);
}

TEST_P(FitTest, AModelOfDoublesTrains) {
  for (DType dtype : {DType::f32, DType::f64}) {
    set_seed(11);
    Model model(Sequential(Conv2d{.filters = 2, .kernel = 2}, Tanh{}, Flatten{}, Dense{.units = 3}));
    model.build({3, 3, 1}, device, dtype);
    for (const Variable& v : model.variables()) EXPECT_EQ(v.dtype(), dtype) << v.name();
    model.compile({.optimizer = optim::Adam{.learning_rate = 0.02},
                   .loss = losses::SparseCategoricalCrossentropy{},
                   .metrics = {metrics::Accuracy{}}});
    const Tensor x = random_normal({24, 3, 3, 1}, 0, 1, {.dtype = dtype, .key = RandomKey{3, 3}});
    const Tensor labels = argmax(reshape(select_index(x, 1, 0), {24, 3}));
    const History history = model.fit(data::Dataset::from_tensors(x, labels), quiet(10));
    EXPECT_LT(history.back().values.at("loss"), history.front().values.at("loss"));
  }
  Sequential net(Dense{.units = 4}, Tanh{}, Dense{.units = 2});
  const GradcheckResult result = gradcheck([&](const std::vector<Tensor>& in) { return net(in[0]); },
                                           {random_normal({3, 5}, 0, 1, {.dtype = DType::f64})});
  EXPECT_TRUE(result.ok) << result.text;
}

TEST(HalfWidthModel, TrainsOnEveryDevice) {
  for (const DeviceInfo& info : devices()) {
    if (!info.available) continue;
    for (DType dtype : {DType::f16, DType::bf16}) {
      const Device device(info.id);
      const DeviceScope scope(device);
      set_seed(11);
      Model model(Sequential(Conv2d{.filters = 4, .kernel = 2}, Tanh{}, Flatten{}, Dense{.units = 3}));
      model.build({3, 3, 1}, device, dtype);
      for (const Variable& v : model.variables()) EXPECT_EQ(v.dtype(), dtype) << v.name();
      model.compile({.optimizer = optim::Adam{.learning_rate = 0.02, .epsilon = 1e-4},
                     .loss = losses::SparseCategoricalCrossentropy{},
                     .metrics = {metrics::Accuracy{}}});
      const Tensor x = cast(random_normal({48, 3, 3, 1}, 0, 1, {.key = RandomKey{3, 3}}), dtype);
      const Tensor labels = argmax(reshape(select_index(x, 1, 0), {48, 3}));
      const History history = model.fit(data::Dataset::from_tensors(x, labels),
                                        {.epochs = 30, .batch_size = 16, .verbose = Verbose::silent});
      EXPECT_GT(history.front().values.at("loss"), 0.8) << info.id << " " << name_of(dtype);
      EXPECT_LT(history.back().values.at("loss"), 0.4) << info.id << " " << name_of(dtype);
      EXPECT_GT(history.back().values.at("accuracy"), 0.9) << info.id << " " << name_of(dtype);
    }
  }
}

TEST_P(FitTest, MeansAreOverExamplesNotOverBatches) {
  Model model = make();
  const data::Dataset data = points(33);
  const auto whole = model.evaluate(data, 33), parts = model.evaluate(data, 32);
  EXPECT_NEAR(whole.at("loss"), parts.at("loss"), 1e-6);
  EXPECT_NEAR(whole.at("accuracy"), parts.at("accuracy"), 1e-6);
  std::vector<std::int64_t> indices(33);
  for (std::size_t i = 0; i < 33; ++i) indices[i] = static_cast<std::int64_t>(i);
  std::vector<float> x(66);
  std::vector<std::int32_t> labels(33);
  data.source().copy(indices, reinterpret_cast<std::byte*>(x.data()), reinterpret_cast<std::byte*>(labels.data()));
  const std::vector<float> logits = model.predict(Tensor(x, {33, 2})).to_vector<float>();
  double loss = 0;
  for (std::size_t i = 0; i < 33; ++i) {
    double total = 0;
    for (std::size_t c = 0; c < 3; ++c) total += std::exp(static_cast<double>(logits[3 * i + c]));
    loss += std::log(total) - static_cast<double>(logits[3 * i + static_cast<std::size_t>(labels[i])]);
  }
  EXPECT_NEAR(whole.at("loss"), loss / 33, 1e-5);
}

TEST_P(FitTest, TheSameSeedGivesTheSameBits) {
  const auto train = [&] {
    Model model = make();
    model.fit(points(100), quiet(3));
    return model.weights_sha256();
  };
  EXPECT_EQ(train(), train());
}

TEST_P(FitTest, DropoutDrawsAnewInEveryStepAndReproducibly) {
  const auto train = [&] {
    set_seed(4);
    Model model(Sequential(Dropout{0.5}, Dense{.units = 3}));
    model.build({2});
    model.compile({.optimizer = optim::Sgd{.learning_rate = 0.1}, .loss = losses::SparseCategoricalCrossentropy{}});
    std::vector<std::string> hashes;
    Fit options = quiet(2);
    options.on_step = [&](const StepInfo&) { hashes.push_back(model.weights_sha256()); };
    model.fit(points(96), options);
    return hashes;
  };
  EXPECT_EQ(train(), train());
}

TEST_P(FitTest, EvaluateAndPredictChangeNothing) {
  Model model = make();
  model.fit(points(50), quiet());
  const std::string weights = model.weights_sha256();
  const RandomKey position = random_position();
  const std::uint64_t live = memory_stats(device).live;
  {
    const data::Dataset data = points(50);
    const Tensor x = ones({3, 2});
    GradientTape tape;
    model.evaluate(data);
    model.predict(x);
    EXPECT_EQ(tape.size(), 0u);
  }
  EXPECT_EQ(model.weights_sha256(), weights);
  EXPECT_EQ(random_position().stream, position.stream);
  EXPECT_EQ(model.optimizer().steps(), 2);
  EXPECT_EQ(memory_stats(device).live, live);
}

TEST_P(FitTest, NothingOfAnEpochStaysOnTheDevice) {
  Model model = make();
  model.fit(points(64), quiet());
  const std::uint64_t live = memory_stats(device).live;
  model.fit(points(64), quiet(3));
  EXPECT_EQ(memory_stats(device).live, live);
}

TEST_P(FitTest, StepsAllocateNothingNewOnceWarm) {
  Model model = make();
  Fit options = quiet();
  std::vector<std::uint64_t> native;
  options.on_step = [&](const StepInfo&) { native.push_back(memory_stats(device).driver_allocations); };
  model.fit(points(320), options);
  EXPECT_EQ(native.back(), native[3]) << "every later step reuses what the first ones allocated";
}

TEST_P(FitTest, AnErrorInACallbackPassesThrough) {
  Model model = make();
  Fit options = quiet();
  options.on_step = [](const StepInfo&) { throw std::runtime_error("stop"); };
  EXPECT_THROW(model.fit(points(64), options), std::runtime_error);
  EXPECT_EQ(model.optimizer().steps(), 1);
  EXPECT_NO_THROW(model.fit(points(64), quiet()));
}

TEST_P(FitTest, LabelsOutsideTheClassesAreNamedBeforeTraining) {
  Model model = make();
  const std::string before = model.weights_sha256();
  const auto with_labels = [](const Tensor& labels) { return data::Dataset::from_tensors(ones({4, 2}), labels); };
  expect_error(ErrorId::index_out_of_range, "the label of example 2 is 3, the model has 3 classes", [&] {
    model.fit(with_labels(Tensor({0, 1, 3, 2})), quiet());
  });
  expect_error(ErrorId::index_out_of_range, "the label of example 1 is -1", [&] {
    model.evaluate(with_labels(Tensor({0, -1, 0, 2})));
  });
  expect_error(ErrorId::index_out_of_range, "the label of example 0 is 200", [&] {
    model.fit(with_labels(cast(Tensor({200, 0, 1, 2}), DType::u8)), quiet());
  });
  Fit options = quiet();
  options.validation = with_labels(Tensor({0, 1, 2, 7}));
  expect_error(ErrorId::index_out_of_range, "the label of example 3 is 7", [&] {
    model.fit(with_labels(Tensor({0, 1, 2, 2})), options);
  });
  EXPECT_EQ(model.weights_sha256(), before) << "nothing was trained";
  for (DType dtype : {DType::u8, DType::i8, DType::i32, DType::i64}) {
    EXPECT_NO_THROW(model.evaluate(with_labels(cast(Tensor({0, 1, 2, 2}), dtype)))) << name_of(dtype);
  }
}

TEST_P(FitTest, LabelsThatAreNoClassNumbersAreNamedBeforeTraining) {
  Model model = make();
  const data::Dataset data = data::Dataset::from_tensors(ones({4, 2}), ones({4}));
  const std::string before = model.weights_sha256();
  expect_error(ErrorId::dtype_not_accepted, "cast(labels, i32)", [&] { model.fit(data, quiet()); });
  expect_error(ErrorId::dtype_not_accepted, "cast(labels, i32)", [&] { model.evaluate(data); });
  expect_error(ErrorId::dtype_not_accepted, "cast(labels, i32)", [&] { model.train_step({ones({4, 2}), ones({4})}); });
  EXPECT_EQ(model.weights_sha256(), before);
}

TEST_P(FitTest, DataThatDoesNotFitTheModelIsNamed) {
  Model model = make();
  const auto refuse = [&](ErrorId id, const std::string& part, const Tensor& features) {
    const data::Dataset data = data::Dataset::from_tensors(features, Tensor({0, 1}));
    expect_error(id, part, [&] { model.fit(data, quiet()); });
    expect_error(id, part, [&] { model.evaluate(data); });
  };
  refuse(ErrorId::shapes_differ, "examples of f32 (3), the model was built for f32 (2)", ones({2, 3}));
  refuse(ErrorId::dtypes_differ, "examples of f64 (2), the model was built for f32 (2)", ones({2, 2}, DType::f64));
}

TEST_P(FitTest, EmptySetsAreNamedBeforeTraining) {
  Model model = make();
  const std::string before = model.weights_sha256();
  const data::Dataset empty = points(3).take(0);
  expect_error(ErrorId::invalid_attribute, "fit: the data set is empty", [&] { model.fit(empty, quiet()); });
  expect_error(ErrorId::invalid_attribute, "evaluate: the data set is empty", [&] { model.evaluate(empty); });
  Fit options = quiet();
  options.validation = empty;
  expect_error(ErrorId::invalid_attribute, "fit: the validation set is empty", [&] { model.fit(points(8), options); });
  EXPECT_EQ(model.weights_sha256(), before);
  EXPECT_EQ(model.optimizer().steps(), 0);
}

TEST_P(FitTest, EvaluationTakesNoLargerBatchesThanTraining) {
  std::vector<std::int64_t> batches;
  Model model(Sequential(Lambda{[&](const Tensor& x) {
                           if (!x.is_abstract()) batches.push_back(x.shape()[0]);
                           return x;
                         }},
                         Dense{.units = 3}));
  model.build({2});
  model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
  const auto largest = [&](const std::function<void()>& act) {
    batches.clear();
    act();
    return *std::max_element(batches.begin(), batches.end());
  };
  const data::Dataset data = points(600);
  EXPECT_EQ(largest([&] { model.evaluate(data); }), 256);
  model.fit(points(64), {.batch_size = 40, .verbose = Verbose::silent});
  EXPECT_EQ(largest([&] { model.evaluate(data); }), 40);
  EXPECT_EQ(largest([&] { model.evaluate(data, 300); }), 300);
  model.fit(points(64), {.batch_size = 512, .verbose = Verbose::silent});
  EXPECT_EQ(largest([&] { model.evaluate(data); }), 256);
  Fit options{.batch_size = 16, .validation = data, .verbose = Verbose::silent};
  EXPECT_EQ(largest([&] { model.fit(points(64), options); }), 16);
}

TEST_P(FitTest, LabelsOfABinaryLossLieBetween0And1) {
  set_seed(11);
  Model model(Sequential(Dense{.units = 1}));
  model.build({2});
  model.compile(
      {.optimizer = optim::Sgd{}, .loss = losses::BinaryCrossentropy{}, .metrics = {metrics::BinaryAccuracy{}}});
  const auto with_labels = [](const Tensor& labels) { return data::Dataset::from_tensors(ones({4, 2}), labels); };
  for (DType dtype : {DType::u8, DType::i8, DType::i32, DType::i64, DType::f32, DType::f64, DType::f16, DType::bf16}) {
    expect_error(ErrorId::index_out_of_range, "the label of example 2 is 2", [&] {
      model.fit(with_labels(cast(Tensor({0, 1, 2, 1}), dtype)), quiet());
    });
  }
  expect_error(ErrorId::index_out_of_range, "the label of example 1 is -1", [&] {
    model.evaluate(with_labels(reshape(Tensor({0, -1, 0, 1}), {4, 1})));
  });
  expect_error(ErrorId::index_out_of_range, "the label of example 3 is nan", [&] {
    model.fit(with_labels(Tensor({0.0f, 1.0f, 0.5f, std::nanf("")})), quiet());
  });
  for (DType dtype : {DType::f16, DType::bf16}) {
    expect_error(ErrorId::index_out_of_range, "the label of example 0 is nan",
                 [&] { model.fit(with_labels(cast(full({4}, std::nan("")), dtype)), quiet()); });
  }
  EXPECT_EQ(model.optimizer().steps(), 0);
  for (DType dtype : {DType::boolean, DType::u8, DType::i64, DType::f32})
    EXPECT_NO_THROW(model.fit(with_labels(cast(Tensor({0, 1, 0, 1}), dtype)), quiet())) << name_of(dtype);
}

TEST_P(FitTest, ABinaryModelLearnsAndItsAccuracyIsRefusedWithAHint) {
  for (const bool from_logits : {true, false}) {
    set_seed(11);
    Model model = from_logits ? Model(Sequential(Dense{.units = 8}, Tanh{}, Dense{.units = 1}))
                              : Model(Sequential(Dense{.units = 8}, Tanh{}, Dense{.units = 1}, Sigmoid{}));
    model.build({2});
    const auto compile = [&](std::vector<metrics::Metric> metrics) {
      model.compile({.optimizer = optim::Adam{.learning_rate = 0.05},
                     .loss = losses::BinaryCrossentropy{.from_logits = from_logits},
                     .metrics = std::move(metrics)});
    };
    const Tensor x = random_uniform({200, 2}, -1, 1, {.key = RandomKey{3, 0}});
    const Tensor labels = cast(greater(select_index(x, 1, 0), select_index(x, 1, 1)), DType::u8);
    const data::Dataset data = data::Dataset::from_tensors(x, labels);
    compile({metrics::Accuracy{}});
    expect_error(ErrorId::shapes_differ, "BinaryAccuracy", [&] { model.fit(data, quiet()); });
    compile({metrics::BinaryAccuracy{.from_logits = from_logits}});
    model.fit(data, quiet(15));
    const auto values = model.evaluate(data);
    EXPECT_LT(values.at("loss"), 0.2);
    EXPECT_GT(values.at("binary_accuracy"), 0.95);
    // With inverted labels every answer is wrong.
    const data::Dataset wrong = data::Dataset::from_tensors(x, cast(less(cast(labels, DType::i32), 1), DType::u8));
    EXPECT_LT(model.evaluate(wrong).at("binary_accuracy"), 0.05);
  }
}

// fit() and evaluate() refer to the optimizer, the loss and the metrics until they return.
TEST_P(FitTest, CompilingIsRefusedWhileTheModelIsInUse) {
  Model model = make();
  int refused = 0;
  const auto compile = [&] {
    ++refused;
    expect_error_saying(
        [&] { model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}}); },
        ErrorId::invalid_use, {"compile: fit(), evaluate() or train_step() of this model is running"}, nullptr, true);
  };
  Fit options = quiet();
  options.batch_size = 10;
  options.validation = points(10, 3);
  options.on_step = [&](const StepInfo& s) {
    compile();
    model.evaluate(points(4));
    if (s.step == 2) compile();
  };
  options.on_epoch = [&](const EpochInfo&) { compile(); };
  options.should_stop = [&] {
    compile();
    return false;
  };
  const History history = model.fit(points(20), options);
  EXPECT_EQ(refused, 7) << "two steps, one of them twice, the epoch, and before each step and the batch of validation";
  EXPECT_TRUE(history.at(0).values.contains("val_accuracy"));
  EXPECT_EQ(model.epochs(), 1);
  options.on_step = [](const StepInfo&) { throw std::runtime_error("stop"); };
  EXPECT_THROW(model.fit(points(20), options), std::runtime_error);

  metrics::Metric metric{"compiling", [&](const Tensor& predictions, const Tensor&) {
                           compile();
                           return sum(predictions);
                         }};
  losses::Loss loss = losses::SparseCategoricalCrossentropy{};
  loss.compute = [&, inner = loss.compute](const Tensor& predictions, const Tensor& labels) {
    compile();
    return inner(predictions, labels);
  };
  refused = 0;
  model.compile({.optimizer = optim::Sgd{}, .loss = loss, .metrics = {metric}});
  EXPECT_EQ(refused, 0) << "nothing runs any more, after an exception either";
  model.train_step({ones({1, 2}), Tensor({0})});
  EXPECT_EQ(refused, 1);
  model.evaluate(points(4));
  EXPECT_EQ(refused, 3);
  EXPECT_NO_THROW(model.compile({.optimizer = optim::Sgd{}, .loss = loss}));
}

TEST_P(FitTest, MetricsHaveNamesThatTellTheirValuesApart) {
  const auto named = [](const std::string& name) {
    metrics::Metric metric = metrics::Accuracy{};
    metric.name = name;
    return metric;
  };
  Model model = make({named("accuracy"), named("also"), named("value")});
  EXPECT_EQ(model.evaluate(points(4)).size(), 4u);
  const auto refuse = [&](const std::string& headline, std::vector<metrics::Metric> metrics) {
    expect_error_saying(
        [&] {
          model.compile({.optimizer = optim::Sgd{},
                         .loss = losses::SparseCategoricalCrossentropy{},
                         .metrics = std::move(metrics)});
        },
        ErrorId::invalid_use, {headline, "Metric::name"}, nullptr, true);
  };
  refuse("compile: metrics 2 and 3 are both named \"also\"", {metrics::Accuracy{}, named("also"), named("also")});
  refuse("compile: a metric is named \"loss\", as the value of the loss is", {named("loss")});
  refuse("compile: the metric \"val_accuracy\" begins with \"val_\"", {metrics::Accuracy{}, named("val_accuracy")});
  EXPECT_EQ(model.evaluate(points(4)).size(), 4u) << "a refusal changes nothing";
}

TEST_P(FitTest, ABatchThatIsADescriptionIsRefused) {
  Model model = make();
  const std::string before = model.weights_sha256();
  const data::Batch batch{Tensor::abstract({f32, {4, 2}}), Tensor::abstract({i32, {4}})};
  expect_error(ErrorId::symbolic_value, "a gradient is abstract", [&] { model.train_step(batch); });
  EXPECT_EQ(model.weights_sha256(), before);
  EXPECT_EQ(model.optimizer().steps(), 0);
}

TEST_P(FitTest, UsesOutOfOrderAreNamed) {
  Model model(Sequential(Dense{.units = 3}));
  expect_error(ErrorId::not_built, "called at fit_test.cpp:", [&] { model.variables(); });
  expect_error(ErrorId::not_built, "called at fit_test.cpp:", [&] { model.load_weights("weights"); });
  expect_error(ErrorId::not_built, "called at fit_test.cpp:", [&] { model.save_weights("weights"); });
  expect_error(ErrorId::not_built, "called at fit_test.cpp:", [&] { model.weights_sha256(); });
  expect_error(ErrorId::not_built, "no variables yet", [&] { model.predict(ones({1, 2})); });
  expect_error(ErrorId::not_built, "no variables yet", [&] { model.summary(); });
  model.build({2});
  expect_error(ErrorId::not_compiled, "compile()", [&] { model.fit(points(4), quiet()); });
  expect_error(ErrorId::not_compiled, "compile()", [&] { model.evaluate(points(4)); });
  expect_error(ErrorId::not_compiled, "compile()", [&] { model.train_step({ones({1, 2}), Tensor({0})}); });
  expect_error(ErrorId::not_compiled, "compile()", [&] { model.optimizer(); });
  EXPECT_NO_THROW(model.predict(ones({1, 2})));
  expect_error(ErrorId::invalid_use, "built already", [&] { model.build({5}); });
}

TEST_P(FitTest, ABuildThatFailsCanBeRepeated) {
  set_seed(2);
  Model model(Sequential(Dense{.units = 4}, Dense{.units = 3}));
  for (std::uint64_t k = 1;; ++k) {
    FaultInjection fault(k);
    try {
      model.build({2});
      break;
    } catch (const Error&) {
      EXPECT_FALSE(model.built());
    }
    ASSERT_LT(k, 1000u);
  }
  ASSERT_EQ(model.variables().size(), 4u);
  EXPECT_EQ(model.variables()[0].name(), "dense/kernel");
  EXPECT_EQ(model.variables()[3].name(), "dense_1/bias");
  set_seed(2);
  Model undisturbed(Sequential(Dense{.units = 4}, Dense{.units = 3}));
  undisturbed.build({2});
  EXPECT_EQ(model.weights_sha256(), undisturbed.weights_sha256()) << "the numbers that were drawn are drawn again";
}

INSTANTIATE_TEST_SUITE_P(Devices, FitTest, testing::ValuesIn(available_devices()), &by_driver);

}  // namespace
}  // namespace lockstep::nn
