// Snapshots of optimizers: restored to other variables of the same names, training gives the same bits.
#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep::optim {
namespace {

using Bytes = std::vector<std::vector<std::byte>>;

struct Kind {
  const char* name;
  std::variant<Sgd, Adam> options;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"plain", Sgd{.learning_rate = 0.1}},
      {"momentum", Sgd{.learning_rate = 0.1, .momentum = 0.9}},
      {"nesterov", Sgd{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true}},
      {"adam", Adam{.learning_rate = 0.01}},
      {"adamw", Adam{.learning_rate = 0.05, .beta_1 = 0.8, .beta_2 = 0.99, .epsilon = 1e-3, .weight_decay = 0.1}},
  };
  return all;
}

Optimizer make(const Kind& kind) {
  return std::visit([](const auto& options) { return Optimizer(options); }, kind.options);
}

// Two variables with a gradient for each step, and one without elements.
class SnapshotTest : public testing::TestWithParam<std::string> {
 protected:
  static std::vector<Variable> variables(DType dtype = DType::f32) {
    std::vector<Variable> all;
    all.emplace_back(random_of({3, 5}, 1, dtype), "a");
    all.emplace_back(random_of({7}, 2, dtype), "b");
    all.emplace_back(zeros({0, 4}, dtype), "empty");
    return all;
  }
  static Tensor random_of(const Shape& shape, std::uint64_t seed, DType dtype) {
    return cast(random_normal(shape, 0, 1, {.key = RandomKey{seed, 0}}), dtype);
  }
  static void step(Optimizer& optimizer, const std::vector<Variable>& variables, std::uint64_t number) {
    std::vector<Tensor> gradients;
    for (const Variable& v : variables) gradients.push_back(random_of(v.shape(), 100 + 10 * number, v.dtype()));
    optimizer.apply(gradients, variables);
  }
  static Bytes bytes_of(const std::vector<Variable>& variables) {
    Bytes all;
    for (const Variable& v : variables) all.push_back(v.read().to_bytes());
    return all;
  }
  static Bytes bytes_of(const Snapshot& snapshot) {
    Bytes all;
    for (const auto& [name, value] : snapshot.slots) all.push_back(value.to_bytes());
    return all;
  }

  Device device{GetParam()};
  DeviceScope scope{device};
};

TEST_P(SnapshotTest, StepsAfterRestoreGiveTheBitsOfAnUninterruptedRun) {
  for (const Kind& kind : kinds()) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      const std::vector<Variable> straight = variables(dtype);
      Optimizer undisturbed = make(kind);
      Bytes halfway;
      for (std::uint64_t i = 0; i < 8; ++i) {
        if (i == 4) halfway = bytes_of(straight);
        step(undisturbed, straight, i);
      }

      Optimizer first = make(kind);
      const std::vector<Variable> before = variables(dtype);
      for (std::uint64_t i = 0; i < 4; ++i) step(first, before, i);
      const Snapshot snapshot = first.snapshot();

      // Other variables of the same names, which have the values of the first ones, in another order.
      std::vector<Variable> after = variables(dtype);
      for (std::size_t k = 0; k < after.size(); ++k) after[k].assign(before[k].read());
      ASSERT_EQ(bytes_of(after), halfway);
      std::vector<Variable> reversed(after.rbegin(), after.rend());
      Optimizer second = make(kind);
      second.restore(snapshot, reversed);
      EXPECT_EQ(second.steps(), 4);
      EXPECT_EQ(bytes_of(after), halfway) << "variables do not change";
      for (std::uint64_t i = 4; i < 8; ++i) step(second, after, i);
      EXPECT_EQ(bytes_of(after), bytes_of(straight)) << kind.name << " " << name_of(dtype);
      EXPECT_EQ(bytes_of(second.snapshot()), bytes_of(undisturbed.snapshot())) << kind.name << " " << name_of(dtype);
      EXPECT_EQ(second.steps(), 8);
      for (const Variable& slot : second.state()) EXPECT_EQ(slot.dtype(), DType::f32) << slot.name();
    }
  }
}

TEST_P(SnapshotTest, HasTheStepsTheOptionsAndTheSlotsByName) {
  const std::vector<Variable> v = variables();
  Optimizer adam = Adam{.learning_rate = 0.5, .beta_1 = 0.75, .beta_2 = 0.5};
  adam.set_learning_rate(0.25);
  step(adam, v, 0);
  step(adam, v, 1);
  const Snapshot s = adam.snapshot();
  EXPECT_EQ(s.steps, 2);
  EXPECT_EQ(s.weights_1, 1 - 0.75 * 0.75);
  EXPECT_EQ(s.weights_2, 1 - 0.5 * 0.5);
  ASSERT_TRUE(std::holds_alternative<Adam>(s.options));
  EXPECT_EQ(std::get<Adam>(s.options).learning_rate, 0.25) << "the present one";
  EXPECT_EQ(std::get<Adam>(s.options).beta_1, 0.75);
  std::vector<std::string> names;
  for (const auto& [name, value] : s.slots) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"a/adam_m", "a/adam_u", "b/adam_m", "b/adam_u"}));
  EXPECT_EQ(s.slots.at("b/adam_m").shape(), (Shape{7}));
}

TEST_P(SnapshotTest, KeepsItsValuesAndCanBeReturnedTo) {
  const std::vector<Variable> v = variables();
  Optimizer adam = Adam{};
  step(adam, v, 0);
  const Snapshot snapshot = adam.snapshot();
  const Bytes then = bytes_of(snapshot);
  std::vector<Tensor> weights;
  for (const Variable& variable : v) weights.push_back(variable.read());
  step(adam, v, 1);
  const Bytes next = bytes_of(v);
  EXPECT_EQ(bytes_of(snapshot), then);
  EXPECT_NE(bytes_of(adam.snapshot()), then);

  for (int round = 0; round < 2; ++round) {
    adam.restore(snapshot, v);
    EXPECT_EQ(adam.steps(), 1);
    for (std::size_t i = 0; i < v.size(); ++i) Variable(v[i]).assign(weights[i]);
    step(adam, v, 1);
    EXPECT_EQ(bytes_of(v), next);
    EXPECT_EQ(bytes_of(snapshot), then) << "a step does not write into the snapshot";
  }
}

TEST_P(SnapshotTest, TheOptionsReplaceThoseOfTheOptimizer) {
  const std::vector<Variable> v = variables();
  Optimizer plain = Sgd{.learning_rate = 0.5}, heavy = Sgd{.learning_rate = 0.125, .momentum = 0.9};
  step(heavy, v, 0);
  plain.restore(heavy.snapshot(), v);
  EXPECT_EQ(plain.learning_rate(), 0.125);
  EXPECT_EQ(plain.slots_per_variable(), 1);
  EXPECT_EQ(plain.state().size(), 2u);
}

// Devices that run asynchronously find the bad index after apply() has returned.
TEST_P(SnapshotTest, DoesNotCountAStepThatFailsOnTheDevice) {
  for (const Kind& kind : kinds()) {
    const Variable v(zeros({2}), "v");
    Optimizer optimizer = make(kind);
    const Tensor indices = Tensor({std::int64_t{0}, std::int64_t{99}});
    EXPECT_THROW(
        {
          optimizer.apply(std::vector{gather(ones({4}), indices)}, std::vector{v});
          EXPECT_EQ(optimizer.snapshot().steps, 0) << kind.name;
          synchronize(device);
        },
        Error)
        << kind.name;
    const Snapshot snapshot = optimizer.snapshot();
    EXPECT_EQ(snapshot.steps, 0) << kind.name;
    EXPECT_TRUE(snapshot.slots.empty()) << kind.name;
  }
}

TEST_P(SnapshotTest, OfAnOptimizerThatTookNoStepIsThatOfANewOne) {
  const std::vector<Variable> v = variables();
  Optimizer fresh = Adam{}, used = Adam{};
  fresh.prepare(v);
  const Snapshot snapshot = fresh.snapshot();
  EXPECT_TRUE(snapshot.slots.empty()) << "prepared slots hold nothing yet";
  step(used, v, 0);
  used.restore(snapshot, v);
  EXPECT_EQ(used.steps(), 0);
  EXPECT_TRUE(used.state().empty());
  const std::vector<Variable> x = variables(), y = variables();
  Optimizer other = Adam{};
  step(used, x, 1);
  step(other, y, 1);
  EXPECT_EQ(bytes_of(x), bytes_of(y));
}

TEST_P(SnapshotTest, SlotsAreOwnedByOptimizersAndFreed) {
  const auto owned = [&] {
    synchronize(device);
    return memory_stats(device).live_by_owner[static_cast<std::size_t>(MemoryOwner::optimizer)];
  };
  const std::uint64_t before = owned();
  {
    const std::vector<Variable> v = variables(), w = variables();
    Optimizer a = Adam{}, b = Adam{};
    step(a, v, 0);
    const std::uint64_t one = owned() - before;
    EXPECT_GT(one, 0u);
    b.restore(a.snapshot(), w);
    step(a, v, 1);
    step(b, w, 1);
    EXPECT_EQ(owned() - before, 2 * one);
  }
  EXPECT_EQ(owned(), before);
}

TEST_P(SnapshotTest, MovesToTheDeviceOfTheVariables) {
  Snapshot snapshot;
  Bytes elsewhere;
  {
    const DeviceScope reference{Device("reference")};
    const std::vector<Variable> v = variables();
    Optimizer adam = Adam{};
    step(adam, v, 0);
    snapshot = adam.snapshot();
    elsewhere = bytes_of(snapshot);
  }
  const std::vector<Variable> v = variables();
  Optimizer adam = Adam{};
  adam.restore(snapshot, v);
  for (const Variable& slot : adam.state()) EXPECT_EQ(slot.device(), device);
  EXPECT_EQ(bytes_of(adam.snapshot()), elsewhere);
  step(adam, v, 1);
}

// ------------------------------------------------------------------------------------------------------------ failures

TEST_P(SnapshotTest, WhatDoesNotFitIsNamedAndChangesNothing) {
  const std::vector<Variable> v = variables();
  Optimizer adam = Adam{.learning_rate = 0.5};
  step(adam, v, 0);
  const Snapshot good = adam.snapshot();
  Optimizer target = Adam{.learning_rate = 0.25};
  step(target, v, 1);
  const Bytes before = bytes_of(target.snapshot());
  const auto refuse = [&](const Snapshot& snapshot, const std::vector<Variable>& variables, const std::string& part,
                          ErrorId id = ErrorId::snapshot_mismatch) {
    expect_error_saying([&] { target.restore(snapshot, variables); }, id, {part}, "optimizer_snapshot_test.cpp:", true);
    EXPECT_EQ(bytes_of(target.snapshot()), before) << part;
    EXPECT_EQ(target.steps(), 1) << part;
    EXPECT_EQ(target.learning_rate(), 0.25) << part;
  };
  const auto changed = [&](auto&& change) {
    Snapshot s = good;
    change(s);
    return s;
  };
  const auto without = [&](const char* name) { return changed([&](Snapshot& s) { s.slots.erase(name); }); };

  refuse(Optimizer(Sgd{}).snapshot(), v, "restore: the snapshot is of Sgd, the optimizer is Adam");
  refuse(without("b/adam_u"), v, "there is no tensor \"b/adam_u\"");
  refuse(changed([](Snapshot& s) { s.slots.clear(); }), v, "there is no tensor \"a/adam_m\"");
  refuse(good, {v[0]}, "tensor \"b/adam_m\" belongs to none of the variables");
  refuse(good, {v[0], v[1], Variable(ones({2}), "c")}, "there is no tensor \"c/adam_m\"");
  refuse(good, {v[0], v[1], v[0]}, "two variables are named \"a\"");
  refuse(good, {v[0], Variable(ones({8}), "b")}, "tensor \"b/adam_m\" is f32 (7), the variable needs f32 (8)");
  refuse(changed([](Snapshot& s) { s.slots.at("a/adam_u") = cast(s.slots.at("a/adam_u"), DType::f16); }), v,
         "tensor \"a/adam_u\" is f16 (3, 5), the variable needs f32 (3, 5)");
  const auto out_of_range = [&](const std::string& part, auto&& change) {
    refuse(changed(change), v, part, ErrorId::invalid_attribute);
  };
  out_of_range("steps is -1", [](Snapshot& s) { s.steps = -1; });
  out_of_range("weights_1 is 0", [](Snapshot& s) { s.weights_1 = 0; });
  out_of_range("weights_2 is 1.5", [](Snapshot& s) { s.weights_2 = 1.5; });
  out_of_range("weights_2 is nan", [](Snapshot& s) { s.weights_2 = std::numeric_limits<double>::quiet_NaN(); });
  out_of_range("beta_1 is 1", [](Snapshot& s) { std::get<Adam>(s.options).beta_1 = 1; });
  target.restore(good, v);
  EXPECT_EQ(target.learning_rate(), 0.5);
}

TEST_P(SnapshotTest, TwoVariablesOfOneNameHaveNoSnapshot) {
  const Variable first(ones({2}), "w"), second(ones({2}), "w");
  Optimizer adam = Adam{};
  adam.apply(std::vector{ones({2}), ones({2})}, std::vector{first, second});
  expect_error_saying([&] { adam.snapshot(); }, ErrorId::invalid_use, {"two variables have a slot named \"w/adam_m\""},
                      "optimizer_snapshot_test.cpp:", true);
}

TEST_P(SnapshotTest, AFailureAtAnyPointChangesNothing) {
  const std::vector<Variable> v = variables();
  Optimizer source = Adam{};
  {
    const DeviceScope reference{Device("reference")};  // so that restoring copies
    const std::vector<Variable> there = variables();
    step(source, there, 0);
    step(source, there, 1);
  }
  const Snapshot snapshot = source.snapshot();
  const Bytes wanted = bytes_of(snapshot);
  int failures = 0;
  for (std::uint64_t k = 1;; ++k) {
    Optimizer target = Adam{};
    step(target, v, 5);
    const Bytes before = bytes_of(target.snapshot());
    synchronize(device);
    release_cached_memory(device);
    const std::uint64_t live = memory_stats(device).live;
    bool failed = false, fired = false;
    {
      FaultInjection fault(k);
      try {
        target.restore(snapshot, v);
      } catch (const Error&) {
        failed = true;
      }
      fired = fault.fired();
    }
    ASSERT_EQ(bytes_of(target.snapshot()), failed ? before : wanted) << k;
    ASSERT_EQ(target.steps(), failed ? 1 : 2) << k;
    synchronize(device);
    ASSERT_LE(memory_stats(device).live, live) << k << ": less if a slot shares its memory with the snapshot";
    failures += failed ? 1 : 0;
    if (!fired) break;
    ASSERT_LT(k, 500u);
  }
  if (GetParam() != "reference:0") {
    EXPECT_GT(failures, 3);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, SnapshotTest, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep::optim
