// Compares optimizers with torch.optim: the values of three elements after the first and the fifth step, with fixed
// gradients.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "lockstep/lockstep.h"

namespace lockstep::optim {
namespace {

using Values = std::vector<double>;

const Values gradients[] = {
    {0.5, -1.25, 3.0}, {-0.75, 0.125, 2.0}, {1.5, 0.25, -4.0}, {0.0, -2.0, 0.5}, {0.25, 1.0, -1.0}};

// Both implementations round a few operations per step to f64, whose unit roundoff is 1.1e-16.
void expect_steps(Optimizer optimizer, const Values& first, const Values& last) {
  const DeviceScope scope{Device("reference")};
  const Variable w(Tensor({1.0, -2.0, 0.5}), "w");
  for (std::size_t i = 0; i < 5; ++i) {
    const Tensor gradient(gradients[i], {3});
    optimizer.apply(std::span(&gradient, 1), std::span(&w, 1));
    if (i != 0 && i != 4) continue;
    const Values given = w.read().to_vector<double>();
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(given[k], (i == 0 ? first : last)[k], 4e-15) << "step " << i + 1 << ", " << k;
  }
}

// Values from torch 2.15 in f64, with up to 17 digits.
TEST(TorchOptim, Sgd) {
  expect_steps(Sgd{.learning_rate = 0.1}, {0.95, -1.875, 0.19999999999999998},
               {0.8499999999999999, -1.8125, 0.45000000000000007});
}

TEST(TorchOptim, Momentum) {
  expect_steps(Sgd{.learning_rate = 0.1, .momentum = 0.9}, {0.95, -1.875, 0.19999999999999998},
               {0.62167, -1.31885, -0.3273300000000002});
}

TEST(TorchOptim, Nesterov) {
  expect_steps(Sgd{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true}, {0.905, -1.7625, -0.07000000000000005},
               {0.509503, -1.199465, -0.2945970000000003});
}

TEST(TorchOptim, Adam) {
  expect_steps(Adam{.learning_rate = 0.01}, {0.9900000019999996, -1.9900000007999998, 0.4900000003333333},
               {0.9804575647002424, -1.9716906822817197, 0.4796243962233638});
}

TEST(TorchOptim, AdamWithOtherSettings) {
  expect_steps(Adam{.learning_rate = 0.1, .beta_1 = 0.5, .beta_2 = 0.75, .epsilon = 1e-3},
               {0.9001996007984032, -1.900079936051159, 0.4000333222259247},
               {0.8089318893157722, -1.7784942498197172, 0.3894769994995377});
}

TEST(TorchOptim, AdamW) {
  expect_steps(Adam{.learning_rate = 0.05, .weight_decay = 0.1},
               {0.945000009999998, -1.9400000039999996, 0.4475000016666666},
               {0.8786601905506698, -1.810705743614989, 0.3874956352982431});
}

TEST(OptimizerOptions, OutsideTheirRangeAreNamed) {
  const auto refuse = [](const std::string& part, auto options) {
    try {
      const Optimizer optimizer = options;
      ADD_FAILURE() << "nothing was thrown: " << part;
    } catch (const ShapeError& e) {
      EXPECT_EQ(e.id(), ErrorId::invalid_attribute) << e.what();
      EXPECT_NE(e.headline().find(part), std::string::npos) << part << " in " << e.what();
      EXPECT_NE(e.where().find("optimizer_test.cpp:"), std::string::npos) << e.what();
    }
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refuse("learning_rate is -0.1", Sgd{.learning_rate = -0.1});
  refuse("learning_rate is nan", Adam{.learning_rate = nan});
  refuse("momentum is -1", Sgd{.momentum = -1});
  refuse("beta_1 is 1", Adam{.beta_1 = 1});
  refuse("beta_2 is -0.5", Adam{.beta_2 = -0.5});
  refuse("weight_decay is nan", Adam{.weight_decay = nan});
  Optimizer optimizer = Sgd{.learning_rate = 0};
  EXPECT_THROW(optimizer.set_learning_rate(nan), ShapeError);
  EXPECT_EQ(optimizer.learning_rate(), 0);
}

}  // namespace
}  // namespace lockstep::optim
