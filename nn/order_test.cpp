// Tests of the order in which training visits the examples.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "lockstep/lockstep.h"
#include "runtime/test_devices.h"

namespace lockstep::nn {
namespace {

// Records the examples of each epoch as they pass through the model.
class OrderTest : public testing::TestWithParam<std::string> {
 protected:
  using Orders = std::vector<std::vector<float>>;
  static constexpr std::int64_t examples = 12;

  void SetUp() override { restart(); }
  void restart() {
    set_seed(11);
    model.emplace(Sequential(Lambda{[this](const Tensor& x) {
                               if (!x.is_abstract()) {
                                 for (float v : x.to_vector<float>()) seen.push_back(v);
                               }
                               return x;
                             }},
                             Dense{.units = 1}));
    model->build({1});
    model->compile({.optimizer = optim::Sgd{}, .loss = losses::MeanSquaredError{}});
    seen.clear();
  }
  Orders epochs() const {
    Orders orders;
    for (std::size_t i = 0; i < seen.size(); i += examples)
      orders.emplace_back(seen.begin() + static_cast<std::ptrdiff_t>(i),
                          seen.begin() + static_cast<std::ptrdiff_t>(std::min(i + examples, seen.size())));
    return orders;
  }
  static Fit options(std::int64_t epochs) { return {.epochs = epochs, .batch_size = 5, .verbose = Verbose::silent}; }

  DeviceScope scope{Device(GetParam())};
  const data::Dataset data =
      data::Dataset::from_tensors(reshape(arange(examples, DType::f32), {examples, 1}), zeros({examples, 1}));
  std::vector<float> seen;
  std::optional<Model> model;
};

TEST_P(OrderTest, EachEpochHasAnotherAndSeesEachExampleOnce) {
  model->fit(data, options(4));
  const Orders orders = epochs();
  ASSERT_EQ(orders.size(), 4u);
  std::vector<float> all(examples);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(i);
  for (std::size_t a = 0; a < orders.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) EXPECT_NE(orders[a], orders[b]) << "epochs " << a << " and " << b;
    EXPECT_NE(orders[a], all) << "as they come";
    std::vector<float> sorted = orders[a];
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, all);
  }
}

TEST_P(OrderTest, EpochsInALoopAreThoseOfOneCall) {
  model->fit(data, options(4));
  const Orders together = epochs();
  const std::string weights = model->weights_sha256();
  restart();
  for (int i = 0; i < 4; ++i) model->fit(data, options(1));
  EXPECT_EQ(epochs(), together);
  EXPECT_EQ(model->weights_sha256(), weights);
  model->compile({.optimizer = optim::Sgd{}, .loss = losses::MeanSquaredError{}});
  seen.clear();
  model->fit(data, options(1));
  EXPECT_EQ(epochs()[0], together[0]) << "compile() starts anew";
}

TEST_P(OrderTest, AnEpochCountsFromItsFirstStep) {
  model->fit(data, options(2));
  const Orders orders = epochs();
  restart();
  Fit failing = options(1);
  failing.on_step = [](const StepInfo&) { throw std::runtime_error("stop"); };
  EXPECT_THROW(model->fit(data, failing), std::runtime_error);  // it is thrown after a step
  seen.clear();
  model->fit(data, options(1));
  EXPECT_EQ(epochs()[0], orders[1]);
  restart();
  Fit refused = options(1);
  refused.validation = data.take(0);
  EXPECT_THROW(model->fit(data, refused), ShapeError);
  const data::Dataset broken = data.prepare([](const Tensor& x) {
    if (!x.is_abstract()) throw std::runtime_error("no data");
    return x;
  });
  EXPECT_THROW(model->fit(broken, options(1)), std::runtime_error);
  seen.clear();
  model->fit(data, options(1));
  EXPECT_EQ(epochs()[0], orders[0]) << "one without a step does not";
}

TEST_P(OrderTest, TheKeyDecidesAndNoneMeansAsTheyCome) {
  const auto order_with = [&](std::optional<RandomKey> key) {
    restart();
    Fit o = options(2);
    o.shuffle = key;
    model->fit(data, o);
    return epochs();
  };
  EXPECT_EQ(order_with(RandomKey{1, 2}), order_with(RandomKey{1, 2}));
  EXPECT_NE(order_with(RandomKey{1, 2}), order_with(RandomKey{2, 2}));
  std::vector<float> all(examples);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(i);
  EXPECT_EQ(order_with(std::nullopt), (Orders{all, all}));
}

TEST_P(OrderTest, OfAShuffledSetEachEpochTakesOthers) {
  Fit o = options(3);
  o.shuffle = std::nullopt;
  model->fit(data.shuffle({5, 5}).take(4), o);
  ASSERT_EQ(seen.size(), 12u);
  const std::vector<float> first(seen.begin(), seen.begin() + 4), second(seen.begin() + 4, seen.begin() + 8);
  EXPECT_NE(first, second);
  EXPECT_GT(*std::max_element(seen.begin(), seen.end()), 3.0f);
}

INSTANTIATE_TEST_SUITE_P(Devices, OrderTest, testing::ValuesIn(available_devices()), &by_driver);

}  // namespace
}  // namespace lockstep::nn
