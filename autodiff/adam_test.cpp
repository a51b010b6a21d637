// Adam in f32 with betas near 1: what follows from the betas is computed in f64. The test compares with the textbook
// formula in long double, which uses powers where the optimizer uses running sums.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "runtime/test_devices.h"

namespace lockstep::optim {
namespace {

class AdamNumbers : public testing::TestWithParam<std::string> {
 protected:
  DeviceScope scope{Device(GetParam())};
};

struct Textbook {
  Adam o;
  long double w = 0, m = 0, u = 0;
  void step(long double g, int t) {
    m = o.beta_1 * m + (1 - static_cast<long double>(o.beta_1)) * g;
    u = o.beta_2 * u + (1 - static_cast<long double>(o.beta_2)) * g * g;
    const long double m_hat = m / (1 - std::pow(static_cast<long double>(o.beta_1), t));
    const long double u_hat = u / (1 - std::pow(static_cast<long double>(o.beta_2), t));
    w -= o.learning_rate * (m_hat / (std::sqrt(u_hat) + o.epsilon));
  }
};

TEST_P(AdamNumbers, FirstStepIsTheLearningRate) {
  const Variable w(0.0f, "w");
  Optimizer adam(Adam{.learning_rate = 1e-3, .epsilon = 1e-8});
  const Tensor g(1.0f);
  adam.apply(std::span(&g, 1), std::span(&w, 1));
  // -1e-3 / (1 + 1e-8) = -0.00099999999. Neighbouring f32 numbers are 1.2e-10 apart there.
  EXPECT_NEAR(w.read().item<float>(), -0.00099999999, 1.2e-10);
}

TEST_P(AdamNumbers, FollowTheTextbookNearOne) {
  for (const auto& [beta_1, beta_2] : {std::pair{0.9, 0.999},
                                       {0.999, 0.9999},
                                       {0.9, 0.999999},
                                       {0.9, 0.99999999},
                                       {0.9999999, 0.9999999},
                                       {0.0, 0.0},
                                       {0.5, 0.1}}) {
    const Adam options{.learning_rate = 0.01, .beta_1 = beta_1, .beta_2 = beta_2, .epsilon = 1e-8};
    const Variable w(0.0f, "w");
    Optimizer adam(options);
    Textbook exact{options};
    for (int t = 1; t <= 20; ++t) {
      const float g = t % 3 == 0 ? -0.75f : 1.5f;
      const Tensor gradient(g);
      adam.apply(std::span(&gradient, 1), std::span(&w, 1));
      exact.step(g, t);
      // Each step rounds about a dozen times. The size of a step is about the learning rate.
      ASSERT_NEAR(w.read().item<float>(), static_cast<double>(exact.w), t * 12 * 0x1p-24 * 0.02)
          << beta_1 << " " << beta_2 << " step " << t;
    }
  }
}

// f16 and bf16 variables: the moments are f32, and only the variable is rounded in each step. Expected values: mpmath
// with 40 digits, which rounds the gradient and, once a step, the variable.
TEST_P(AdamNumbers, MomentsOfHalfWidthVariablesAreF32) {
  struct Expected {
    DType dtype;
    double w, m, u;
  };
  for (const Expected& e : {Expected{f32, -0.0999900009999, 0.00099997343860111, 9.5207852886291e-8},
                            Expected{f16, -0.09942626953125, 0.001000377785771, 9.5284864550128e-8},
                            Expected{bf16, -0.09814453125, 0.00099942413678547, 9.5103283143931e-8},
                            Expected{f64, -0.0999900009999, 0.00099997343860111, 9.5207852886291e-8}}) {
    const Variable w(zeros({3}, e.dtype), "w");
    Optimizer adam(Adam{});
    const Tensor g = full({3}, 1e-3, e.dtype);
    for (int t = 0; t < 100; ++t) adam.apply(std::span(&g, 1), std::span(&w, 1));
    const bool wide = e.dtype == f64;
    ASSERT_EQ(w.dtype(), e.dtype);
    for (double v : cast(w, f64).to_vector<double>()) {
      // In f32, 100 steps round the variable, which is near 0.1, and a step of 1e-3 some dozen times. In f64, the
      // digits above end at 1e-13.
      const double allowed = e.dtype == f32 ? 100 * (0.1 + 12e-3) * 0x1p-24 : wide ? 1e-13 : 0;
      EXPECT_NEAR(v, e.w, allowed) << name_of(e.dtype);
    }
    const std::vector<Variable> state = adam.state();
    ASSERT_EQ(state.size(), 2u);
    for (const Variable& slot : state) EXPECT_EQ(slot.dtype(), wide ? f64 : f32) << name_of(e.dtype);
    EXPECT_NEAR(cast(state[0], f64).to_vector<double>()[2] / e.m, 1, 100 * 3 * 0x1p-24) << name_of(e.dtype);
    EXPECT_NEAR(cast(state[1], f64).to_vector<double>()[2] / e.u, 1, 100 * 3 * 0x1p-24) << name_of(e.dtype);
  }
}

// A velocity of 394 grows by less than half of bf16's distance of neighbours there, and by one part in 400.
TEST_P(AdamNumbers, VelocitiesOfHalfWidthVariablesAreF32) {
  for (DType t : {f16, bf16}) {
    const Variable w(zeros({2}, t), "w");
    Optimizer sgd(Sgd{.learning_rate = 0x1p-10, .momentum = 0.999});
    const Tensor g = ones({2}, t);
    for (int i = 0; i < 500; ++i) sgd.apply(std::span(&g, 1), std::span(&w, 1));
    // The sum of 0.999^i for i < 500. f32 rounds each step twice.
    const double velocity = (1 - std::pow(0.999, 500)) / 0.001;
    ASSERT_EQ(sgd.state().size(), 1u);
    EXPECT_EQ(sgd.state()[0].dtype(), f32);
    EXPECT_NEAR(sgd.state()[0].read().to_vector<float>()[1], velocity, velocity * 500 * 2 * 0x1p-24) << name_of(t);
    EXPECT_EQ(w.dtype(), t);
  }
}

// The update ops themselves refuse slots of another dtype.
TEST_P(AdamNumbers, UpdatesRefuseHalfWidthSlots) {
  const Tensor w = zeros({2}, f16);
  const std::vector<Scalar> numbers = {0.1, 0.9, 1.0, 0.0};
  try {
    invoke(*find_op("momentum_update"), std::vector<Operand>{w, zeros({2}, f64), w}, nullptr, numbers);
    ADD_FAILURE() << "not refused";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), ErrorId::dtypes_differ);
    EXPECT_EQ(e.headline(), "the variable is f16, its v f64");
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, AdamNumbers, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep::optim
