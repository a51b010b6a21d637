// Layers: their errors, names and shapes.
#include <gtest/gtest.h>

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

  Tensor call(const Tensor& x, const Call&) override { return matmul(x, zeros({x.shape()[-1] + 1, 2})); }
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
}

}  // namespace
}  // namespace lockstep::nn
