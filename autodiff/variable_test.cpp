#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "ops/observer.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

TEST(Variable, CopiesAreTheSameVariable) {
  Variable a(1.0f, "a");
  const Variable b = a;
  a.assign(Tensor(5.0f));
  EXPECT_EQ(b.read().item<float>(), 5.0f);
  EXPECT_EQ(a, b);
}

TEST(Variable, AReadTensorKeepsItsValue) {
  Variable v(zeros({4}), "v");
  const Tensor before = v.read();
  v.assign(ones({4}));
  EXPECT_EQ(before.to_vector<float>()[0], 0.0f);
  EXPECT_EQ(v.read().to_vector<float>()[0], 1.0f);
}

TEST(Variable, AViewOfAReadTensorKeepsItsValueToo) {
  Variable v(zeros({2, 3}), "v");
  const Tensor column = select_index(v, 1, 2);
  v.assign(ones({2, 3}));
  EXPECT_EQ(column.to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(Variable, AssignReusesItsMemoryWhenNobodyElseHoldsIt) {
  const Device device("reference");
  const DeviceScope scope(device);
  Variable v(zeros({1000}), "v");
  v.assign(ones({1000}));
  const std::uint64_t live = memory_stats(device).live;
  for (int i = 0; i < 5; ++i) v.assign(full({1000}, i));
  EXPECT_EQ(memory_stats(device).live, live);
  EXPECT_EQ(v.read().to_vector<float>()[999], 4.0f);
}

TEST(Variable, ASliceDoesNotKeepTheBlockThatItIsPartOf) {
  const DeviceScope scope(Device("reference"));
  const auto live = [] { return memory_stats(default_device()).live; };
  const auto slice_of_a_large_one = [] { return select_index(ones({1 << 10, 4}), 0, 3); };
  const std::uint64_t before = live();
  Variable v(slice_of_a_large_one(), "v");
  EXPECT_LT(live() - before, 4096u);
  const Tensor held = v.read();  // so that assign() allocates new memory
  v.assign(slice_of_a_large_one());
  EXPECT_LT(live() - before, 4096u);
  EXPECT_EQ(v.read().to_vector<float>(), std::vector<float>(4, 1.0f));

  const Tensor whole = ones({1 << 10});
  const std::uint64_t with_whole = live();
  const Variable taken(whole, "taken");
  EXPECT_EQ(live(), with_whole) << "a whole tensor is not copied";
}

TEST(Variable, KeepsShapeAndDtype) {
  Variable v(zeros({4}), "weights");
  try {
    v.assign(zeros({5}));
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_EQ(e.id(), ErrorId::shapes_differ);
    EXPECT_NE(std::string(e.what()).find("Variable \"weights\""), std::string::npos) << e.what();
  }
  EXPECT_THROW(v.assign(zeros({4}, f64)), DTypeError);
}

TEST(Variable, AssignAdd) {
  Variable v(Tensor({1.0f, 2.0f}), "v");
  v.assign_add(Tensor({10.0f, 20.0f}));
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{11, 22}));
}

TEST(Variable, KnowsItsNameKindAndPlace) {
  const DeviceScope scope(Device("reference"));
  const Variable a(zeros({2, 3}, f64), "a"), b(1.0f), frozen(1.0f, "frozen", false);
  EXPECT_EQ(a.name(), "a");
  EXPECT_EQ(b.name(), "variable");
  EXPECT_TRUE(a.trainable());
  EXPECT_FALSE(frozen.trainable());
  EXPECT_EQ(a.shape(), (Shape{2, 3}));
  EXPECT_EQ(a.dtype(), f64);
  EXPECT_EQ(a.device(), Device("reference"));
  EXPECT_NE(a.id(), b.id());
  EXPECT_EQ(Variable(a).id(), a.id());
  EXPECT_FALSE(a == b);
}

TEST(Variable, TakesValuesOfOtherDevices) {
  const Device reference("reference"), cpu("cpu");
  const DeviceScope scope(reference);
  for (const bool held : {false, true}) {
    Variable v(zeros({2}), "v");
    const std::optional<Tensor> before = held ? std::optional(v.read()) : std::nullopt;
    v.assign(Tensor({1.0f, 2.0f}).to(cpu));
    EXPECT_EQ(v.device(), reference);
    EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{1, 2}));
    if (held) {
      EXPECT_EQ(before->to_vector<float>(), (std::vector<float>{0, 0}));
    }
  }
}

TEST(Variable, AViewIsAssignedInItsOwnOrder) {
  const DeviceScope scope(Device("reference"));
  const Tensor x = reshape(Tensor({1.0f, 2.0f, 3.0f, 4.0f}), {2, 2});
  Variable v(transpose(x), "v");
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{1, 3, 2, 4}));
  v.assign(transpose(x) * 2.0f);
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{2, 6, 4, 8}));
  v.assign(transpose(v.read()));
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{2, 4, 6, 8}));
}

TEST(Variable, AbstractTensorsAreNoValues) {
  const Tensor abstract = Tensor::abstract({f32, {2}});
  EXPECT_THROW(Variable(abstract, "v"), TraceError);
  Variable v(zeros({2}), "v");
  expect_error_saying([&] { v.assign(abstract); }, ErrorId::symbolic_value,
                      {"assign: the value is abstract and has no elements", "Variable \"v\""},
                      "variable_test.cpp:", true);
  expect_error_saying([&] { v.assign_add(abstract); }, ErrorId::symbolic_value, {"assign_add: the value is"},
                      "variable_test.cpp:", true);
  EXPECT_THROW(v.assign_add(ones({3})), ShapeError);
  EXPECT_THROW(v.assign_add(ones({2}, f64)), DTypeError);
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(Variable, ItsMemoryIsCalledThat) {
  const DeviceScope scope(Device("reference"));
  const auto owned = [] {
    return memory_stats(default_device()).live_by_owner[static_cast<std::size_t>(MemoryOwner::variables)];
  };
  const std::uint64_t before = owned();
  Variable v(zeros({1000}), "v");
  EXPECT_EQ(owned() - before, 4096u);
  const Tensor held = v.read();
  v.assign(ones({1000}));
  v.assign(full({1000}, 2));
  EXPECT_GE(owned() - before, 4096u);
}

TEST(Variable, ATapeKeepsTheValuesThatItSaw) {
  Variable v(3.0f, "v");
  GradientTape tape;
  const Tensor y = v * v;
  v.assign(Tensor(100.0f));
  EXPECT_EQ(tape.gradient(y, v).item<float>(), 6.0f);
}

// --------------------------------------------------------------------------------------------------------- optimizers

TEST(Optimizer, RefusesAVariableGivenTwice) {
  const Variable a(Tensor({1.0f, 2.0f}), "twice"), b(Tensor({3.0f, 4.0f}), "once");
  const std::vector<Variable> variables = {b, a, a};
  const std::vector<Tensor> gradients(3, ones({2}));
  optim::Optimizer optimizer = optim::Sgd{.learning_rate = 1};
  try {
    optimizer.apply(gradients, variables);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const StateError& e) {
    EXPECT_EQ(e.id(), ErrorId::invalid_use) << e.what();
    EXPECT_NE(e.headline().find("\"twice\""), std::string::npos) << e.what();
    EXPECT_NE(e.where().find("variable_test.cpp:"), std::string::npos) << e.what();
  }
  EXPECT_EQ(a.read().to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_EQ(b.read().to_vector<float>(), (std::vector<float>{3, 4}));
  EXPECT_EQ(optimizer.steps(), 0);
}

// Adam in plain C++ doubles, by the published formulas.
struct PlainAdam {
  double m = 0, u = 0, b1 = 1, b2 = 1;
  double step(double w, double g) {
    m = 0.9 * m + 0.1 * g;
    u = 0.999 * u + 0.001 * g * g;
    b1 *= 0.9;
    b2 *= 0.999;
    return w - 1e-3 * (m / (1 - b1)) / (std::sqrt(u / (1 - b2)) + 1e-7);
  }
};

TEST(Optimizer, AdamFollowsItsFormula) {
  Variable w(Tensor({1.0, -2.0}), "w");
  optim::Optimizer adam{optim::Adam{}};
  PlainAdam plain[2];
  double expected[2] = {1, -2};
  for (int i = 0; i < 100; ++i) {
    const double g[2] = {0.3 * i - 5, 1.0 / (i + 1)};
    const Tensor gradient({g[0], g[1]});
    adam.apply(std::span(&gradient, 1), std::span(&w, 1));
    for (int k = 0; k < 2; ++k) expected[k] = plain[k].step(expected[k], g[k]);
  }
  const std::vector<double> given = w.read().to_vector<double>();
  for (std::size_t k = 0; k < 2; ++k) EXPECT_NEAR(given[k], expected[k], 1e-12);
  EXPECT_EQ(adam.steps(), 100);
  EXPECT_EQ(adam.state().size(), 2u);
}

TEST(Optimizer, SgdMomentumAndNesterov) {
  const auto run = [](optim::Sgd options) {
    Variable w(1.0, "w");
    optim::Optimizer sgd{options};
    for (double g : {1.0, 2.0}) {
      const Tensor gradient(g);
      sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
    }
    return w.read().item<double>();
  };
  EXPECT_DOUBLE_EQ(run({.learning_rate = 0.1}), 1 - 0.1 * 1 - 0.1 * 2);
  EXPECT_DOUBLE_EQ(run({.learning_rate = 0.1, .momentum = 0.9}), 1 - 0.1 * 1 - 0.1 * (0.9 * 1 + 2));
  EXPECT_DOUBLE_EQ(run({.learning_rate = 0.1, .momentum = 0.9, .nesterov = true}),
                   1 - 0.1 * (1 + 0.9 * 1) - 0.1 * (2 + 0.9 * (0.9 * 1 + 2)));
}

TEST(Optimizer, ChecksBeforeItChangesAnything) {
  Variable a(zeros({3}), "a"), b(zeros({4}), "b");
  const std::vector<Variable> variables = {a, b};
  optim::Optimizer sgd{optim::Sgd{}};
  EXPECT_THROW(sgd.apply(std::vector<Tensor>{ones({3}), ones({3})}, variables), ShapeError);
  EXPECT_THROW(sgd.apply(std::vector<Tensor>{ones({3}), ones({4}, f64)}, variables), DTypeError);
  EXPECT_THROW(sgd.apply(std::vector<Tensor>{ones({3})}, variables), ShapeError);
  EXPECT_EQ(a.read().to_vector<float>()[0], 0.0f);
  EXPECT_EQ(sgd.steps(), 0);
}

TEST(Optimizer, AHeldValueStaysWhileTheVariableMovesOn) {
  Variable w(ones({8}), "w");
  const Tensor held = w.read();
  optim::Optimizer sgd{optim::Sgd{.learning_rate = 1}};
  const Tensor g = ones({8});
  sgd.apply(std::span(&g, 1), std::span(&w, 1));
  EXPECT_EQ(held.to_vector<float>()[0], 1.0f);
  EXPECT_EQ(w.read().to_vector<float>()[0], 0.0f);
}

// A whole training step with injected faults, one for every fault point that it passes.
class FaultyStep : public testing::TestWithParam<std::string> {};

TEST_P(FaultyStep, AnyFaultGivesATypedErrorAndChangesNothing) {
  const Device device(GetParam());
  const DeviceScope scope(device);
  set_seed(5);
  nn::Model model(nn::Sequential(nn::Conv2d{.filters = 3, .kernel = 3}, nn::Relu{}, nn::MaxPool2d{}, nn::Flatten{},
                                 nn::Dropout{0.2}, nn::Dense{.units = 4}));
  model.build({8, 8, 1}, device);
  model.compile({.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{}});
  const data::Batch batch{random_normal({5, 8, 8, 1}), Tensor({0, 1, 2, 3, 1})};
  const RandomKey start = random_position();
  std::uint64_t points = 0;
  const std::string initial = model.weights_sha256();
  for (std::uint64_t k = 1;; ++k) {
    release_cached_memory(device);  // so that native allocations are among the fault points
    set_random_position(start);
    const MemoryStats before = memory_stats(device);
    FaultInjection fault(k);
    std::optional<Error> error;
    try {
      model.train_step(batch);
    } catch (const Error& e) {
      error = e;
    }
    if (!fault.fired()) {
      EXPECT_FALSE(error) << error->what();
      points = k - 1;
      break;
    }
    ASSERT_TRUE(error) << "the fault at " << fault.site() << " (point " << k << ") went unnoticed";
    const bool memory = fault.site().find("alloc") != std::string::npos;
    EXPECT_EQ(dynamic_cast<const Error&>(*error).id(), memory ? ErrorId::out_of_memory : ErrorId::driver_failed)
        << error->what();
    ASSERT_EQ(model.weights_sha256(), initial) << "after a fault at " << fault.site() << ", point " << k;
    EXPECT_EQ(model.optimizer().steps(), 0);
    // Slots of the optimizer may have been made; nothing else may remain allocated.
    const auto optimizer = static_cast<std::size_t>(MemoryOwner::optimizer);
    const MemoryStats after = memory_stats(device);
    EXPECT_EQ(after.live - after.live_by_owner[optimizer], before.live - before.live_by_owner[optimizer])
        << "leak after a fault at " << fault.site() << ", point " << k;
  }
  EXPECT_GT(points, 40u);
  EXPECT_NE(model.weights_sha256(), initial) << "the step that met no fault counts";
  EXPECT_EQ(model.optimizer().steps(), 1);
}

INSTANTIATE_TEST_SUITE_P(Devices, FaultyStep, testing::ValuesIn(available_devices()), &by_device);

// Notes the updates of this thread.
class UpdateLog : public OpObserver {
 public:
  UpdateLog() { op_observers().add(this); }
  ~UpdateLog() override { op_observers().remove(this); }
  void record(const OpCall& call, std::span<const TensorRef> outputs) override {
    if (!outputs[0]->variable) return;
    const auto values = [](TensorImpl* impl) { return Tensor::share(impl).to_vector<float>(); };
    updates.push_back(
        {call.op.name, outputs[0]->variable->name, values(call.inputs[0].impl()), values(outputs[0].get())});
  }
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, CallSite) override {}
  bool sees_updates() const override { return true; }

  struct Update {
    std::string op, variable;
    std::vector<float> read, written;
  };
  std::vector<Update> updates;
};

class Updates : public testing::TestWithParam<std::string> {
 protected:
  Updates() : scope_(Device(GetParam())) {}

 private:
  DeviceScope scope_;
};
INSTANTIATE_TEST_SUITE_P(EachDevice, Updates, testing::ValuesIn(available_devices()), by_device);

TEST_P(Updates, AreSeenByObserversHoweverTheyAreMade) {
  Variable v(zeros({2}), "v");
  const Tensor elsewhere = full({2}, 3).to(Device("reference"));
  UpdateLog log;
  v.assign(full({2}, 1));        // written in place
  const Tensor held = v.read();  // so that the next one gets new memory
  v.assign(full({2}, 2));
  v.assign(elsewhere);  // copied from another device
  v.assign_add(full({2}, 4));
  optim::Optimizer sgd(optim::Sgd{.learning_rate = 0.5});
  const Tensor gradient = full({2}, 2);
  sgd.apply(std::span(&gradient, 1), std::span(&v, 1));
  EXPECT_EQ(held.to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(v.read().to_vector<float>(), (std::vector<float>{6, 6}));

  const char* const ops[] = {"copy", "copy", "copy", "copy", "sgd_update"};
  const float read[] = {1, 2, 3, 7, 7}, written[] = {1, 2, 3, 7, 6};
  ASSERT_EQ(log.updates.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(log.updates[i].op, ops[i]) << i;
    EXPECT_EQ(log.updates[i].variable, "v") << i;
    EXPECT_EQ(log.updates[i].read, std::vector<float>(2, read[i])) << i;
    EXPECT_EQ(log.updates[i].written, std::vector<float>(2, written[i])) << i;
  }
}

TEST_P(Updates, AreNotSeenByPausedObservers) {
  Variable v(zeros({2}), "v");
  UpdateLog log;
  {
    const PauseObservers pause;
    v.assign(ones({2}));
  }
  EXPECT_EQ(log.updates.size(), 0u);
}

}  // namespace
}  // namespace lockstep
