// Adam in f32 with betas near 1: what follows from the betas is computed in f64. The test compares with the textbook
// formula in long double, which uses powers where the optimizer uses running sums.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "lockstep/lockstep.h"

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

INSTANTIATE_TEST_SUITE_P(Devices, AdamNumbers, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const DeviceInfo& d : devices()) names.push_back(d.id);
                           return names;
                         }()));

}  // namespace
}  // namespace lockstep::optim
