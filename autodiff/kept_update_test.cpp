// Updates that are kept, and launched with the numbers of each step, must give the bits of the optimizer.
#include <gtest/gtest.h>

#include "autodiff/update_numbers.h"
#include "lockstep/lockstep.h"
#include "ops/built_in.h"
#include "ops/kept_call.h"
#include "runtime/test_devices.h"

namespace lockstep::optim {
namespace {

class KeptUpdates : public testing::TestWithParam<std::string> {
 protected:
  KeptUpdates() : device(Device(GetParam()).state()), scope(Device(GetParam())) {}

  std::shared_ptr<const KeptCall> keep(const char* op, const std::vector<Operand>& operands,
                                       const std::vector<Scalar>& numbers) {
    KeepAnswer answer = keep_call({built_in(op), operands, nullptr, numbers, CallSite::current()}, device);
    EXPECT_EQ(answer.route, CallRoute::kernel) << answer.reason;
    if (!answer.call) throw std::runtime_error("not kept");
    return answer.call;
  }

  static Tensor start() { return Tensor({0.5f, -1.25f, 3.0f, 0.0f, 7.5f}); }
  static Tensor gradient(int t) {
    const auto f = static_cast<float>(t);
    return Tensor({0.1f * f, -2.0f, 0.3f / f, 1e-4f, -f});
  }

  DeviceState& device;
  const DeviceScope scope;
};
INSTANTIATE_TEST_SUITE_P(Devices, KeptUpdates, testing::ValuesIn(available_devices()), &by_device);

const LaunchNumber rate = LaunchNumber::symbol("rate", NumberKind::real);

TEST_P(KeptUpdates, OfAdamFollowTheOptimizer) {
  const Adam options{.learning_rate = 0.01, .beta_1 = 0.9, .beta_2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01};
  // The sums of weights are the state: what a step reads, and what it leaves behind.
  const LaunchNumber sum_1 = LaunchNumber::symbol("sum_1", NumberKind::real),
                     sum_2 = LaunchNumber::symbol("sum_2", NumberKind::real);
  const LaunchNumber next_1 = next_weight_sum(sum_1, options.beta_1), next_2 = next_weight_sum(sum_2, options.beta_2);
  const Tensor abstract = Tensor::abstract({f32, {5}});
  const std::vector<Operand> operands = {abstract, abstract, abstract, abstract};
  const auto kept = keep("adam_update", operands, adam_numbers(rate, options, next_1, next_2));
  EXPECT_EQ(kept->symbols().size(), 3u);

  const Variable variable(start(), "w");
  Optimizer optimizer(options);
  const Tensor w = start(), m = zeros({5}), u = zeros({5});
  LaunchValues values;
  values.set(sum_1, 0.0).set(sum_2, 0.0);
  for (int t = 1; t <= 3; ++t) {
    const Tensor g = gradient(t);
    optimizer.set_learning_rate(0.01 / t);
    optimizer.apply(std::span(&g, 1), std::span(&variable, 1));

    values.set(rate, 0.01 / t);
    TensorImpl* const inputs[] = {w.impl(), m.impl(), u.impl(), g.impl()};
    std::vector<TensorRef> outputs(3);
    kept->launch(inputs, outputs, values);
    const Scalar after_1 = LaunchFormula(next_1).value(values), after_2 = LaunchFormula(next_2).value(values);
    values.set(sum_1, after_1).set(sum_2, after_2);

    EXPECT_EQ(w.to_bytes(), variable.read().to_bytes()) << "step " << t;
    EXPECT_EQ(m.to_bytes(), optimizer.state()[0].read().to_bytes()) << "step " << t;
    EXPECT_EQ(u.to_bytes(), optimizer.state()[1].read().to_bytes()) << "step " << t;
  }
  EXPECT_NE(w.to_bytes(), start().to_bytes());
}

TEST_P(KeptUpdates, OfMomentumFollowTheOptimizer) {
  const Sgd options{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true};
  const Tensor abstract = Tensor::abstract({f32, {5}});
  const std::vector<Operand> operands = {abstract, abstract, abstract};
  const auto kept = keep("momentum_update", operands, sgd_numbers(rate, options));
  const Variable variable(start(), "w");
  Optimizer optimizer(options);
  const Tensor w = start(), v = zeros({5});
  for (int t = 1; t <= 3; ++t) {
    const Tensor g = gradient(t);
    optimizer.set_learning_rate(0.1 / t);
    optimizer.apply(std::span(&g, 1), std::span(&variable, 1));
    LaunchValues values;
    values.set(rate, 0.1 / t);
    TensorImpl* const inputs[] = {w.impl(), v.impl(), g.impl()};
    std::vector<TensorRef> outputs(2);
    kept->launch(inputs, outputs, values);
    EXPECT_EQ(w.to_bytes(), variable.read().to_bytes()) << "step " << t;
    EXPECT_EQ(v.to_bytes(), optimizer.state()[0].read().to_bytes()) << "step " << t;
  }
}

}  // namespace
}  // namespace lockstep::optim
