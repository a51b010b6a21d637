// Optimizers: what each option does, what they keep per variable, and what they refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "runtime/expect_error.h"

namespace lockstep::optim {
namespace {

using Values = std::vector<double>;

class OptimizerState : public testing::Test {
 protected:
  static void step(Optimizer& optimizer, const std::vector<Variable>& variables, const std::vector<Tensor>& gradients) {
    optimizer.apply(gradients, variables);
  }
  static Values values(const Variable& v) { return v.read().to_vector<double>(); }
  static std::uint64_t owned(MemoryOwner owner) {
    return memory_stats(default_device()).live_by_owner[static_cast<std::size_t>(owner)];
  }

  DeviceScope scope{Device("reference")};
};

TEST_F(OptimizerState, ALearningRateOfZeroChangesNoWeightButCounts) {
  const auto all = [] {
    std::vector<Optimizer> optimizers;
    optimizers.emplace_back(Sgd{.learning_rate = 0});
    optimizers.emplace_back(Sgd{.learning_rate = 0, .momentum = 0.9});
    optimizers.emplace_back(Sgd{.learning_rate = 0, .momentum = 0.9, .nesterov = true});
    optimizers.emplace_back(Adam{.learning_rate = 0});
    optimizers.emplace_back(Adam{.learning_rate = 0, .weight_decay = 0.5});
    return optimizers;
  };
  for (Optimizer& optimizer : all()) {
    const Variable w(Tensor({1.0, -2.0}), "w");
    for (int i = 0; i < 3; ++i) step(optimizer, {w}, {Tensor({0.5, 3.0})});
    EXPECT_EQ(values(w), (Values{1, -2}));
    EXPECT_EQ(optimizer.learning_rate(), 0);
    EXPECT_EQ(optimizer.steps(), 3);
    for (const Variable& slot : optimizer.state()) EXPECT_NE(values(slot), (Values{0, 0})) << slot.name();
  }
}

TEST_F(OptimizerState, ANewLearningRateHoldsFromTheNextStepOn) {
  const Variable w(Tensor({1.0}), "w");
  Optimizer sgd = Sgd{.learning_rate = 0.5};
  step(sgd, {w}, {Tensor({1.0})});
  EXPECT_EQ(values(w), Values{0.5});
  sgd.set_learning_rate(0);
  EXPECT_EQ(sgd.learning_rate(), 0);
  step(sgd, {w}, {Tensor({1.0})});
  EXPECT_EQ(values(w), Values{0.5});
  sgd.set_learning_rate(0.25);
  step(sgd, {w}, {Tensor({1.0})});
  EXPECT_EQ(values(w), Values{0.25});
  Optimizer adam = Adam{.learning_rate = 1, .epsilon = 0};
  adam.set_learning_rate(0.125);
  EXPECT_EQ(adam.learning_rate(), 0.125);
  step(adam, {w}, {Tensor({7.0})});
  EXPECT_NEAR(values(w)[0], 0.125, 1e-15) << "the first step of Adam has the length of its rate";
}

TEST_F(OptimizerState, EachVariableHasSlotsOfItsOwn) {
  const Variable a(Tensor({1.0}), "a"), b(Tensor({1.0}), "b"), alone(Tensor({1.0}), "alone");
  Optimizer both = Sgd{.learning_rate = 0.1, .momentum = 0.5}, one = Sgd{.learning_rate = 0.1, .momentum = 0.5};
  for (double g : {1.0, 2.0, -3.0}) {
    step(both, {a, b}, {Tensor({g}), Tensor({10 * g})});
    step(one, {alone}, {Tensor({g})});
  }
  EXPECT_EQ(values(a), values(alone)) << "whatever stands beside it";
  EXPECT_NE(values(a), values(b));
  // Another order of the variables; `alone` still gets the same gradients as `a`.
  step(both, {b, a}, {Tensor({0.0}), Tensor({4.0})});
  step(one, {alone}, {Tensor({4.0})});
  EXPECT_EQ(values(a), values(alone));
}

TEST_F(OptimizerState, SlotsAreNamedOwnedAndInTheOrderOfTheirVariables) {
  struct Expected {
    Optimizer optimizer;
    std::vector<std::string> names;
  };
  std::vector<Expected> all;
  all.push_back({Sgd{}, {}});
  all.push_back({Sgd{.momentum = 0.9}, {"w/momentum", "v/momentum"}});
  all.push_back({Adam{}, {"w/adam_m", "w/adam_u", "v/adam_m", "v/adam_u"}});
  for (Expected& e : all) {
    const Variable v(zeros({3}), "v"), w(zeros({1000}), "w"), empty(zeros({0, 4}), "empty");
    const std::uint64_t before = owned(MemoryOwner::optimizer);
    EXPECT_EQ(e.optimizer.slots_per_variable(), static_cast<int>(e.names.size() / 2));
    step(e.optimizer, {w, empty}, {ones({1000}), zeros({0, 4})});
    step(e.optimizer, {v, w}, {ones({3}), ones({1000})});
    std::vector<std::string> names;
    for (const Variable& slot : e.optimizer.state()) {
      names.push_back(slot.name());
      EXPECT_FALSE(slot.trainable()) << slot.name();
    }
    EXPECT_EQ(names, e.names);
    EXPECT_GE(owned(MemoryOwner::optimizer) - before, e.names.size() / 2 * 4012);
  }
}

TEST_F(OptimizerState, WeightDecayIsDecoupledAndScaledByTheRate) {
  const Variable w(Tensor({2.0}), "w");
  Optimizer adam = Adam{.learning_rate = 0.5, .weight_decay = 0.1};
  step(adam, {w}, {Tensor({0.0})});
  EXPECT_DOUBLE_EQ(values(w)[0], 2 - 0.5 * 0.1 * 2);
}

TEST_F(OptimizerState, AMomentumOfOneAddsUp) {
  const Variable w(Tensor({1.0}), "w");
  Optimizer sgd = Sgd{.learning_rate = 0.125, .momentum = 1};
  for (double g : {1.0, 2.0}) step(sgd, {w}, {Tensor({g})});
  EXPECT_EQ(values(w), Values{1 - 0.125 * 1 - 0.125 * 3});
}

TEST_F(OptimizerState, EpsilonStandsBesideTheRoot) {
  const Variable w(Tensor({0.0}), "w");
  Optimizer adam = Adam{.learning_rate = 1, .epsilon = 3};
  step(adam, {w}, {Tensor({1.0})});
  EXPECT_NEAR(values(w)[0], -0.25, 1e-15);
}

TEST_F(OptimizerState, AVariableWhoseValueIsHeldMovesAndKeepsItsOwner) {
  const Variable w(ones({1000}), "w");
  const std::uint64_t variables = owned(MemoryOwner::variables), all = memory_stats(default_device()).live;
  Optimizer sgd = Sgd{.learning_rate = 1};
  {
    const Tensor held = w.read();
    step(sgd, {w}, {ones({1000})});
    EXPECT_EQ(held.to_vector<float>()[999], 1.0f);
  }
  EXPECT_EQ(w.read().to_vector<float>()[999], 0.0f);
  EXPECT_EQ(owned(MemoryOwner::variables), variables);
  EXPECT_EQ(memory_stats(default_device()).live, all) << "the old memory is free";
  const std::uint64_t allocations = memory_stats(default_device()).allocations;
  const Tensor g = ones({1000});
  const std::uint64_t one_more = memory_stats(default_device()).allocations - allocations;
  step(sgd, {w}, {g});
  EXPECT_EQ(memory_stats(default_device()).allocations, allocations + one_more)
      << "in place where nobody else holds it";
}

// ------------------------------------------------------------------------------------------------- prepared and failed

TEST_F(OptimizerState, PreparedStateGivesTheSameStepsAndIsTakenBack) {
  const Variable a(Tensor({1.0, 2.0}), "a"), b(Tensor({3.0}), "b"), plain(Tensor({1.0, 2.0}), "plain");
  Optimizer adam = Adam{.learning_rate = 0.1}, lazy = Adam{.learning_rate = 0.1};
  const std::vector<Variable> variables = {a, b};
  const std::uint64_t before = owned(MemoryOwner::optimizer);
  adam.prepare(variables);
  EXPECT_EQ(adam.state().size(), 4u);
  EXPECT_EQ(adam.steps(), 0);
  adam.forget_prepared();
  EXPECT_TRUE(adam.state().empty());
  EXPECT_EQ(owned(MemoryOwner::optimizer), before);
  adam.prepare(variables);
  adam.prepare(variables);
  EXPECT_EQ(adam.state().size(), 4u);
  step(adam, variables, {Tensor({0.5, -1.0}), Tensor({2.0})});
  step(lazy, {plain}, {Tensor({0.5, -1.0})});
  EXPECT_EQ(values(a), values(plain));
  adam.forget_prepared();
  EXPECT_EQ(adam.state().size(), 4u) << "a step was applied to them";
  const Variable c(Tensor({1.0}), "c");
  adam.prepare(std::span(&c, 1));
  EXPECT_EQ(adam.state().size(), 6u);
  adam.forget_prepared();
  EXPECT_EQ(adam.state().size(), 4u) << "only what is new";
  step(adam, variables, {Tensor({0.5, -1.0}), Tensor({2.0})});
  step(lazy, {plain}, {Tensor({0.5, -1.0})});
  EXPECT_EQ(values(a), values(plain));
}

TEST_F(OptimizerState, NothingIsPreparedForAVariableWithoutElements) {
  const Variable w(Tensor({1.0, 2.0}), "w"), empty(zeros({0, 4}, DType::f64), "empty");
  Optimizer adam = Adam{.learning_rate = 0.1};
  adam.prepare(std::vector<Variable>{empty, w});
  EXPECT_EQ(adam.state().size(), 2u) << "the averages of w";
  step(adam, {empty, w}, {zeros({0, 4}, DType::f64), Tensor({0.5, -1.0})});
  EXPECT_EQ(adam.state().size(), 2u);
}

TEST_F(OptimizerState, AStepThatFailsTakesPreparedStateAlong) {
  for (std::uint64_t k = 1;; ++k) {
    const Variable a(ones({100}), "a"), b(ones({100}), "b");
    const std::vector<Variable> variables = {a, b};
    const std::vector<Tensor> gradients = {ones({100}), ones({100})};
    Optimizer adam = Adam{};
    bool failed = false, fired = false;
    {
      FaultInjection fault(k);
      try {
        adam.prepare(variables);
        adam.apply(gradients, variables);
        synchronize(default_device());
      } catch (const Error&) {
        failed = true;
      }
      fired = fault.fired();
    }
    ASSERT_EQ(failed, fired) << k;
    ASSERT_EQ(adam.state().size(), failed ? 0u : 4u) << k;
    ASSERT_EQ(adam.steps(), failed ? 0 : 1) << k;
    ASSERT_EQ(a.read().to_vector<float>()[99] == 1.0f, failed) << k;
    if (!fired) break;
    ASSERT_LT(k, 500u);
  }
}

TEST_F(OptimizerState, AFailedStepKeepsTheSlotsOfEarlierOnes) {
  const Variable a(Tensor({1.0}), "a"), b(Tensor({1.0}), "b");
  Optimizer sgd = Sgd{.learning_rate = 1, .momentum = 0.5};
  step(sgd, {a}, {Tensor({1.0})});
  const Values slot = values(sgd.state()[0]);
  bool failed = false;
  for (std::uint64_t k = 1; !failed; ++k) {
    const std::vector<Tensor> gradients = {Tensor({1.0}), Tensor({1.0})};
    FaultInjection fault(k);
    try {
      step(sgd, {a, b}, gradients);
      break;
    } catch (const Error&) {
      failed = true;
    }
  }
  ASSERT_TRUE(failed);
  EXPECT_EQ(sgd.state().size(), 1u);
  EXPECT_EQ(sgd.steps(), 1);
  EXPECT_EQ(values(sgd.state()[0]), slot);
  EXPECT_EQ(values(a), Values{0});
}

// ------------------------------------------------------------------------------------------------------------ refusals

void refuse(ErrorId id, const std::string& part, const std::function<void()>& act) {
  expect_error_saying(act, id, {part}, "optimizer_state_test.cpp:");
}

TEST_F(OptimizerState, GradientsBelongToTheirVariables) {
  const Variable a(ones({2}), "a"), b(ones({3}), "b");
  const Variable elsewhere(ones({2}).to(Device("cpu")), "elsewhere");
  Optimizer sgd = Sgd{};
  const auto apply = [&](std::vector<Tensor> gradients, std::vector<Variable> variables) {
    sgd.apply(gradients, variables);
  };
  refuse(ErrorId::element_count, "1 gradients for 2 variables", [&] { apply({ones({2})}, {a, b}); });
  refuse(ErrorId::element_count, "2 gradients for 1 variables", [&] { apply({ones({2}), ones({2})}, {a}); });
  refuse(ErrorId::shapes_differ, "differ in shape", [&] { apply({ones({2}), ones({3, 1})}, {a, b}); });
  refuse(ErrorId::dtypes_differ, "differ in dtype", [&] { apply({ones({2}), ones({3}, DType::f16)}, {a, b}); });
  refuse(ErrorId::devices_differ, "differ in device", [&] { apply({ones({2}).to(Device("cpu"))}, {a}); });
  refuse(ErrorId::devices_differ, "several devices", [&] {
    apply({ones({2}), ones({2}).to(Device("cpu"))}, {a, elsewhere});
  });
  refuse(ErrorId::symbolic_value, "a gradient is abstract and has no elements", [&] {
    apply({ones({2}), Tensor::abstract({f32, {3}})}, {a, b});
  });
  EXPECT_EQ(sgd.steps(), 0);
  EXPECT_EQ(a.read().to_vector<float>(), (std::vector<float>{1, 1}));
  sgd.apply({}, {});
  EXPECT_EQ(sgd.steps(), 0) << "without variables nothing is stepped";
}

std::vector<Optimizer> one_of_each() {
  std::vector<Optimizer> all;
  all.emplace_back(Sgd{.learning_rate = 0.5});
  all.emplace_back(Sgd{.learning_rate = 0.5, .momentum = 0.9});
  all.emplace_back(Adam{});
  return all;
}

TEST_F(OptimizerState, VariablesAreFloating) {
  for (DType dtype : {DType::i32, DType::i64, DType::u8, DType::i8, DType::boolean}) {
    const Variable v(ones({2}, dtype), "count");
    const std::vector<Variable> all = {Variable(ones({2}), "w"), v};
    const std::string part = "the variable \"count\" is " + std::string(name_of(dtype));
    for (Optimizer& optimizer : one_of_each()) {
      const Snapshot snapshot = optimizer.snapshot();
      refuse(ErrorId::dtype_not_accepted, part, [&] { step(optimizer, all, {ones({2}), ones({2}, dtype)}); });
      expect_error_saying([&] { optimizer.prepare(all); }, ErrorId::dtype_not_accepted, {"prepare", part}, nullptr,
                          true);
      refuse(ErrorId::dtype_not_accepted, part, [&] { optimizer.restore(snapshot, all); });
      EXPECT_TRUE(optimizer.state().empty());
      EXPECT_EQ(optimizer.steps(), 0);
    }
    EXPECT_EQ(v.read().to_bytes(), ones({2}, dtype).to_bytes());
    EXPECT_EQ(all[0].read().to_vector<float>(), (std::vector<float>{1, 1}));
  }
}

// f16 and bf16 are updated in f32 too.
TEST_F(OptimizerState, NumbersThatF32DoesNotHoldAreRefused) {
  const auto refused = [&](Optimizer optimizer, DType dtype, const std::string& part) {
    const Variable wide(zeros({2}, DType::f64), "wide"), v(zeros({2}, dtype), "w");
    const std::vector<Variable> all = {wide, v};
    const std::vector<Tensor> gradients = {ones({2}, DType::f64), zeros({2}, dtype)};
    refuse(ErrorId::invalid_attribute, part, [&] { step(optimizer, all, gradients); });
    EXPECT_EQ(values(wide), (Values{0, 0})) << part;
    EXPECT_EQ(v.read().to_bytes(), zeros({2}, dtype).to_bytes()) << part;
    EXPECT_EQ(optimizer.steps(), 0);
    EXPECT_TRUE(optimizer.state().empty());
  };
  for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    refused(Sgd{.learning_rate = 1e39}, dtype, "learning_rate is 1e+39, which is infinite in f32");
    refused(Sgd{.momentum = 0x1.ffffffp127}, dtype, "momentum is 3.40282e+38, which is infinite");
    refused(Adam{.learning_rate = 1e39}, dtype, "learning_rate is 1e+39");
    refused(Adam{.weight_decay = 1e39}, dtype, "weight_decay is 1e+39");
    refused(Adam{.epsilon = 1e39}, dtype, "epsilon is 1e+39");
    refused(Adam{.epsilon = 1e-50}, dtype, "epsilon is 1e-50, which is 0 in f32");
  }
  Optimizer sgd = Sgd{};
  sgd.set_learning_rate(1e39);
  refused(std::move(sgd), DType::f32, "learning_rate is 1e+39");
}

TEST_F(OptimizerState, NumbersThatTheDtypeJustHoldsAreTaken) {
  const Variable w(zeros({2}), "w"), wide(zeros({2}, DType::f64), "wide");
  for (const Sgd& options : {Sgd{.learning_rate = 0x1.fffffefp127}, Sgd{.learning_rate = 1e-60}}) {
    Optimizer sgd = options;
    step(sgd, {w}, {zeros({2})});
  }
  Optimizer adam = Adam{.epsilon = 0x1.1p-150};
  step(adam, {w}, {zeros({2})});
  EXPECT_EQ(w.read().to_vector<float>(), (std::vector<float>{0, 0}));
  Optimizer far = Adam{.learning_rate = 1e39, .epsilon = 1e-50, .weight_decay = 1e39};
  step(far, {wide, Variable(zeros({0}), "empty")}, {zeros({2}, DType::f64), zeros({0})});
  EXPECT_EQ(values(wide), (Values{0, 0})) << "f64 holds them";
}

}  // namespace
}  // namespace lockstep::optim
