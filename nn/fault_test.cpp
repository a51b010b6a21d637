// Tests that a failure at any point of a training step gives a typed error, leaks no memory and changes no state.
#include <gtest/gtest.h>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "runtime/test_devices.h"

namespace lockstep::nn {
namespace {

// The first step of an optimizer creates its state; later steps do not.
struct Situation {
  std::string device;
  bool first_step;
};

std::vector<Situation> situations() {
  std::vector<Situation> all;
  for (const std::string& id : available_devices()) {
    all.push_back({id, true});
    all.push_back({id, false});
  }
  return all;
}

const auto every_device = testing::ValuesIn(available_devices());

class StepWithFault : public testing::TestWithParam<Situation> {
 protected:
  Model make() const {
    set_seed(5);
    Model model(
        Sequential(Conv2d{.filters = 3, .kernel = 3}, Relu{}, MaxPool2d{}, Flatten{}, Dropout{0.2}, Dense{.units = 4}));
    model.build({8, 8, 1}, device);
    model.compile({.optimizer = optim::Adam{.learning_rate = 0.01}, .loss = losses::SparseCategoricalCrossentropy{}});
    if (!GetParam().first_step) model.train_step(batch);
    return model;
  }
  // Everything that a step changes, as bytes.
  static std::vector<std::vector<std::byte>> state_of(Model& model) {
    std::vector<std::vector<std::byte>> all;
    for (const Variable& v : model.variables()) all.push_back(v.read().to_bytes());
    for (const Variable& v : model.optimizer().state()) all.push_back(v.read().to_bytes());
    return all;
  }

  Device device{GetParam().device};
  DeviceScope scope{device};
  data::Batch batch{random_normal({5, 8, 8, 1}, 0, 1, {.key = RandomKey{8, 8}}), Tensor({0, 1, 2, 3, 1})};
};

TEST_P(StepWithFault, ChangesNothingAndTheNextStepGivesTheSameBits) {
  Model undisturbed = make();
  undisturbed.train_step(batch);
  const auto expected = state_of(undisturbed);
  synchronize(device);

  std::uint64_t k = 1;
  for (bool reached = true; reached; ++k) {
    Model model = make();
    const auto before = state_of(model);
    release_cached_memory(device);  // so that native allocations are among the fault points
    const MemoryStats stats = memory_stats(device);
    const std::int64_t steps = model.optimizer().steps();
    std::optional<Error> error;
    std::string site;
    bool submitted = false;
    {
      FaultInjection fault(k);
      try {
        model.train_step(batch);
        submitted = true;
        synchronize(device);
      } catch (const Error& e) {
        error = e;
      }
      reached = fault.fired();
      site = fault.site();
    }
    ASSERT_EQ(error.has_value(), reached) << "point " << k << ", " << site;
    // The step itself succeeded; only waiting for it failed.
    const bool of_the_wait = submitted && error && error->op() == "wait";
    if (error) {
      EXPECT_TRUE(error->id() == ErrorId::out_of_memory || error->id() == ErrorId::driver_failed) << error->what();
    }
    if (error && !of_the_wait) {
      ASSERT_EQ(state_of(model), before) << "point " << k << ", " << site;
      ASSERT_EQ(model.optimizer().steps(), steps);
      ASSERT_EQ(memory_stats(device).live, stats.live) << "leak at point " << k << ", " << site;
      model.train_step(batch);
    }
    ASSERT_EQ(state_of(model), expected) << "after point " << k << ", " << site;
  }
  EXPECT_GT(k, 40u) << "a step passes many fault points";
}

INSTANTIATE_TEST_SUITE_P(Devices, StepWithFault, testing::ValuesIn(situations()), [](const auto& test) {
  std::string name = test.param.device + (test.param.first_step ? "_first" : "_later");
  name[name.find(':')] = '_';
  return name;
});

// Tests the same through fit(), which also copies data to the device. If an allocation fails once, fit() frees memory
// and repeats the step, and the result is the same as without the failure.
class FitWithFault : public testing::TestWithParam<std::string> {};

TEST_P(FitWithFault, ChangesNothingLeaksNothingAndTrainsOn) {
  const Device device(GetParam());
  const DeviceScope scope(device);
  const data::Dataset data =
      data::Dataset::from_tensors(random_normal({24, 6}, 0, 1, {.key = RandomKey{1, 1}}), cast(zeros({24}), DType::u8));
  const Fit options{.batch_size = 8, .verbose = Verbose::silent};
  const Fit one_step{.steps = 1, .batch_size = 8, .verbose = Verbose::silent};
  const auto make = [] {
    set_seed(6);
    Model model(Sequential(Dense{.units = 5}, Tanh{}, Dropout{0.5}, Dense{.units = 3}));
    model.build({6});
    model.compile(
        {.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}, .metrics = {metrics::Accuracy{}}});
    return model;
  };
  Model undisturbed = make();
  undisturbed.fit(data, one_step);
  const std::string trained = undisturbed.weights_sha256();
  int repeated = 0;
  for (std::uint64_t k = 1;; ++k) {
    Model model = make();
    release_cached_memory(device);
    const std::uint64_t live = memory_stats(device).live;
    const std::string weights = model.weights_sha256();
    bool fired = false, failed = false, of_the_wait = false;
    std::string site;
    {
      FaultInjection fault(k);
      try {
        model.fit(data, one_step);
      } catch (const Error& e) {
        failed = true;
        // The step may have succeeded; only waiting for its values failed.
        of_the_wait = e.op() == "wait";
      }
      fired = fault.fired();
      site = fault.site();
    }
    const bool memory = site.find("alloc") != std::string::npos;
    ASSERT_TRUE(failed == fired || memory) << "point " << k << ", " << site;
    const std::int64_t steps = model.optimizer().steps();
    if (!of_the_wait) {
      ASSERT_EQ(steps, failed ? 0 : 1) << "point " << k << ", " << site;
    }
    ASSERT_EQ(model.weights_sha256(), steps == 0 ? weights : trained) << "point " << k << ", " << site;
    repeated += fired && !failed ? 1 : 0;
    ASSERT_EQ(memory_stats(device).live, live) << "point " << k;
    if (!fired) break;
    ASSERT_NO_THROW(model.fit(data, options)) << "point " << k;
  }
  EXPECT_GT(repeated, 10);
}

INSTANTIATE_TEST_SUITE_P(Devices, FitWithFault, every_device, &by_device);

// Counts its calls in training, as running statistics do.
class Counting : public Layer {
 public:
  Counting() : Layer("counting") {}

 protected:
  void build(const Shape&) override { count_ = add_variable("count", zeros({}), false); }
  Tensor call(const Tensor& x, const Call& c) const override {
    if (c.training) count_->assign_add(Tensor(1.0f));
    return x;
  }

 private:
  std::optional<Variable> count_;
};

class RunningStatistics : public testing::TestWithParam<std::string> {
 protected:
  void TearDown() override { set_memory_limit(device, std::nullopt); }
  Model make() const {
    set_seed(6);
    Model model(Sequential(Counting{}, Dense{.units = 64}, Relu{}, Dense{.units = 3}));
    model.build({16}, device);
    model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
    return model;
  }
  static float count(const Model& model) { return model.variables()[0].read().item<float>(); }

  Device device{GetParam()};
  DeviceScope scope{device};
  data::Dataset data =
      data::Dataset::from_tensors(random_normal({4096, 16}, 0, 1, {.key = RandomKey{1, 1}}), zeros({4096}, DType::u8));
};

TEST_P(RunningStatistics, CountTheStepsThatHappened) {
  Model model = make();
  const data::Batch batch{ones({2, 16}), Tensor({0, 1})}, wrong{ones({2, 16}), Tensor({0, 1, 2})};
  EXPECT_EQ(count(model), 0);
  model.train_step(batch);
  const Tensor held = model.variables()[0].read();
  EXPECT_THROW(model.train_step(wrong), Error);
  EXPECT_EQ(count(model), 1);
  model.train_step(batch);
  EXPECT_EQ(count(model), 2);
  EXPECT_EQ(held.item<float>(), 1);
}

TEST_P(RunningStatistics, SurviveRunningOutOfMemoryAndTheSearchForABatchThatFits) {
  Model model = make();
  model.fit(data.take(32), {.verbose = Verbose::silent});
  EXPECT_EQ(count(model), 1);
  release_cached_memory(device);
  set_memory_limit(device, 2 << 20);
  try {
    model.fit(data, {.batch_size = 4096, .verbose = Verbose::silent});
    ADD_FAILURE() << "the limit is too high for this test";
  } catch (const OutOfMemoryError& e) {
    EXPECT_NE(std::string(e.what()).find(" fits (measured peak"), std::string::npos) << e.what();
  }
  set_memory_limit(device, std::nullopt);
  EXPECT_EQ(count(model), 1);
}

INSTANTIATE_TEST_SUITE_P(Devices, RunningStatistics, every_device, &by_device);

}  // namespace
}  // namespace lockstep::nn
