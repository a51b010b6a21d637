// Tests of layers: errors, names and shapes.
#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>

#include "lockstep/lockstep.h"

namespace lockstep::nn {
namespace {

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

void expect_line(const std::string& text, int line) {
  EXPECT_NE(text.find("layer_test.cpp:" + std::to_string(line)), std::string::npos) << text;
}

class Halving : public Layer {
 public:
  Halving() : Layer("halving") {}
  static constexpr int line = __LINE__ + 2;

  Tensor call(const Tensor& x, const Call&) const override { return matmul(x, zeros({x.shape()[-1] + 1, 2})); }
};

TEST(LayerErrors, NameTheLayerAndTheUsersLine) {
  Model model(Sequential(Dense{.units = 4}, Relu{}, Dense{.units = 2}));
  model.build({8});
  const int line = __LINE__ + 1;
  const std::string text = message_of([&] { model(zeros({3, 9})); });
  EXPECT_NE(text.find("model/dense"), std::string::npos) << text;
  expect_line(text, line);
}

TEST(LayerErrors, InALayerOfOnesOwnNameItsOwnLine) {
  Model model(Sequential(Dense{.units = 4}, Halving{}));
  const std::string text = message_of([&] { model.build({8}); });
  EXPECT_NE(text.find("model/halving"), std::string::npos) << text;
  expect_line(text, Halving::line);
}

TEST(LayerErrors, OfBuildNameItsLine) {
  Model model(Sequential(Conv2d{.filters = 4}));
  const int line = __LINE__ + 1;
  const std::string text = message_of([&] { model.build({28, 28}); });
  expect_line(text, line);
}

TEST(LayerErrors, OfLossesNameTheLineOfTheStep) {
  Model model(Sequential(Dense{.units = 4}));
  model.build({8});
  model.compile({.optimizer = optim::Sgd{.learning_rate = 0.1}, .loss = losses::SparseCategoricalCrossentropy{}});
  const data::Batch batch{zeros({3, 8}), zeros({2}, u8)};
  const int line = __LINE__ + 1;
  const std::string text = message_of([&] { model.train_step(batch); });
  expect_line(text, line);
  EXPECT_NE(text.find("where  loss, called at"), std::string::npos) << text;
}

TEST(LayerBuild, ALayerThatWasCalledBeforeItIsAModelHasTheModelsName) {
  Sequential net(Dense{.units = 4, .name = "only"});
  net(ones({2, 3}));
  Model model(std::move(net));
  model.build({3});
  const std::string text = message_of([&] { model.predict(ones({2, 5})); });
  EXPECT_NE(text.find("where  model/only"), std::string::npos) << text;
}

TEST(LayerBuild, ATapeSeesTheFirstCallButNotTheInitialisers) {
  Sequential net(Dense{.units = 1, .name = "only"});
  GradientTape tape;
  const Tensor y = sum(net(ones({2, 3})));
  const std::size_t first = tape.size();
  const Variable kernel = net.variables()[0];
  EXPECT_EQ(tape.gradient(y, kernel).to_vector<float>(), std::vector<float>(3, 2.0f));
  EXPECT_EQ(kernel.name(), "sequential/only/kernel");
  GradientTape again;
  sum(net(ones({2, 3})));
  EXPECT_EQ(again.size(), first);
}

TEST(LayerBuild, ATapeSeesNothingOfAModelsBuildAndSummary) {
  Model model(Sequential(Dense{.units = 2}));
  GradientTape tape;
  model.build({3});
  EXPECT_EQ(tape.size(), 0u);
  model.summary();
  EXPECT_EQ(tape.size(), 0u);
  model(ones({1, 3}));
  EXPECT_GT(tape.size(), 0u);
}

TEST(LayerBuild, WhatTheFirstCallComputesIsNoVariable) {
  const DeviceScope scope{Device("reference")};
  const auto of_variables = [] {
    return memory_stats(default_device()).live_by_owner[static_cast<std::size_t>(MemoryOwner::variables)];
  };
  Sequential net(Dense{.units = 4});
  const std::uint64_t before = of_variables();
  const Tensor y = net(ones({1000, 3}));
  EXPECT_LT(of_variables() - before, 4000u);
}

// A layer whose first build() fails after it made a variable.
class FailsToBuild : public Layer {
 public:
  FailsToBuild() : Layer("fails") {}

 protected:
  void build(const Shape& input) override {
    kernel_ = add_variable("kernel", zeros({input[-1]}));
    if (!std::exchange(failed_, true)) throw std::runtime_error("not yet");
    bias_ = add_variable("bias", zeros({input[-1]}));
  }
  Tensor call(const Tensor& x, const Call&) const override { return x * *kernel_ + *bias_; }

 private:
  bool failed_ = false;
  std::optional<Variable> kernel_, bias_;
};

// A layer with a head that is used only in training.
class WithHead : public Layer {
 public:
  template <class Head = Dense>
  explicit WithHead(Head head = {.units = 2})
      : Layer("with_head"), body_(add(Dense{.units = 2})), head_(add(std::move(head))) {}
  Tensor call(const Tensor& x, const Call& c) const override {
    const Tensor y = body_(x, c);
    return c.training ? head_(y, c) : y;
  }

 private:
  Layer &body_, &head_;
};

std::vector<std::string> names_of(const std::vector<Variable>& variables) {
  std::vector<std::string> names;
  for (const Variable& v : variables) names.push_back(v.name());
  return names;
}

TEST(LayerBuild, ALayerBuiltLaterHasItsFullName) {
  Model model(Sequential(WithHead{}));
  model.build({3});
  EXPECT_EQ(model.variables().size(), 2u);
  model(ones({1, 3}), {.training = true});
  EXPECT_EQ(names_of(model.variables()),
            (std::vector<std::string>{"with_head/dense/kernel", "with_head/dense/bias", "with_head/dense_1/kernel",
                                      "with_head/dense_1/bias"}));
}

TEST(LayerBuild, ALayerFirstBuiltInTrainingIsTrained) {
  for (const bool whole_fit : {false, true}) {
    Model model(Sequential(WithHead{}));
    model.build({3});
    model.compile({.optimizer = optim::Sgd{.learning_rate = 0.1}, .loss = losses::MeanSquaredError{}});
    std::vector<float> first;
    if (whole_fit) {
      const data::Dataset data = data::Dataset::from_tensors(ones({4, 3}), full({4, 2}, 5));
      model.fit(data, {.batch_size = 4, .verbose = Verbose::silent});
    } else {
      model.train_step({ones({4, 3}), full({4, 2}, 5)});
    }
    const std::vector<Variable> variables = model.variables();
    ASSERT_EQ(variables.size(), 4u);
    for (const float b : variables[3].read().to_vector<float>()) EXPECT_NE(b, 0.0f) << "the bias of the head";
  }
}

TEST(LayerBuild, ThatFailsLeavesNoVariables) {
  Sequential net(FailsToBuild{});
  EXPECT_THROW(net(ones({1, 3})), std::runtime_error);
  EXPECT_TRUE(net.variables().empty());
  net(ones({1, 3}));
  EXPECT_EQ(names_of(net.variables()), (std::vector<std::string>{"sequential/fails/kernel", "sequential/fails/bias"}));
}

TEST(LayerBuild, ThatFailsInAStepLeavesNoVariables) {
  Model model(Sequential(WithHead(FailsToBuild{})));
  model.build({3});
  model.compile({.optimizer = optim::Sgd{.learning_rate = 0.1}, .loss = losses::MeanSquaredError{}});
  const data::Batch batch{ones({4, 3}), full({4, 2}, 5)};
  const std::string before = model.weights_sha256();
  EXPECT_THROW(model.train_step(batch), std::runtime_error);
  EXPECT_EQ(model.variables().size(), 2u) << "those of the body";
  EXPECT_EQ(model.weights_sha256(), before);
  model.train_step(batch);
  EXPECT_EQ(names_of(model.variables()), (std::vector<std::string>{"with_head/dense/kernel", "with_head/dense/bias",
                                                                   "with_head/fails/kernel", "with_head/fails/bias"}));
}

TEST(LayerBuild, AFailedStepForgetsTheLayersThatItBuilt) {
  const auto train = [](bool with_error) {
    set_seed(3);
    Model model(Sequential(WithHead{}));
    model.build({3});
    model.compile({.optimizer = optim::Sgd{.learning_rate = 0.1}, .loss = losses::MeanSquaredError{}});
    if (with_error) {
      EXPECT_THROW(model.train_step({ones({4, 3}), ones({4, 5})}), ShapeError);
      EXPECT_EQ(model.variables().size(), 2u) << "the head is gone";
    }
    model.train_step({ones({4, 3}), full({4, 2}, 5)});
    EXPECT_EQ(model.variables().size(), 4u);
    return model.weights_sha256();
  };
  EXPECT_EQ(train(true), train(false)) << "and is drawn again with the same numbers";
}

}  // namespace
}  // namespace lockstep::nn
