// Tests of what fit() tells its callbacks, and of training that is stopped or ended by an exception.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "lockstep/lockstep.h"
#include "nn/test_points.h"
#include "ops/observer.h"
#include "runtime/device_state.h"
#include "runtime/test_devices.h"

namespace lockstep::nn {
namespace {

// Counts how often the host reads a value.
class ReadCounter : public OpObserver {
 public:
  ReadCounter() { op_observers().add(this); }
  ~ReadCounter() override { op_observers().remove(this); }
  void record(const OpCall&, std::span<const TensorRef>) override {}
  bool watches_any(const OpCall&) const override { return false; }
  void value_read(const TensorImpl&, const char*, CallSite) override { ++reads; }
  int reads = 0;
};

class FitStop : public testing::TestWithParam<std::string> {
 protected:
  static constexpr std::int64_t per_epoch = 10;

  Model make(DType dtype = DType::f32) {
    set_seed(11);
    Model model(Sequential(Dense{.units = 8}, Tanh{}, Dense{.units = 3}));
    model.build({2}, device, dtype);
    model.compile({.optimizer = optim::Adam{.learning_rate = 0.02},
                   .loss = losses::SparseCategoricalCrossentropy{},
                   .metrics = {metrics::Accuracy{}}});
    return model;
  }
  static Fit options(std::int64_t epochs = 4) {
    return {.epochs = epochs, .batch_size = 10, .verbose = Verbose::silent};
  }
  // What a run that was planned to be as long gives.
  struct Planned {
    History history;
    std::string weights;
  };
  Planned planned(std::int64_t steps) {
    Model model = make();
    Fit o = options();
    o.steps = steps;
    History history = model.fit(data, o);
    return {std::move(history), model.weights_sha256()};
  }
  void expect_planned(const Model& model, const History& history, std::int64_t steps) {
    const Planned p = planned(steps);
    EXPECT_EQ(model.weights_sha256(), p.weights);
    ASSERT_EQ(history.size(), p.history.size());
    for (std::size_t i = 0; i < history.size(); ++i) {
      EXPECT_EQ(history[i].values, p.history[i].values) << "epoch " << i + 1;
      EXPECT_EQ(history[i].steps, p.history[i].steps);
      EXPECT_EQ(history[i].examples, p.history[i].examples);
    }
  }

  Device device{GetParam()};
  DeviceScope scope{device};
  data::Dataset data = points(10 * per_epoch);
};

// ----------------------------------------------------------------------------------------------------------- observing

TEST_P(FitStop, CallbacksSeeEveryStepAndEpochInOrder) {
  Model model = make();
  std::vector<std::string> seen;
  Fit o = options(2);
  o.batch_size = 30;
  o.on_step = [&](const StepInfo& s) {
    seen.push_back(std::to_string(s.epoch) + ":" + std::to_string(s.step) + "/" + std::to_string(s.steps));
  };
  History told;
  o.on_epoch = [&](const EpochInfo& e) {
    seen.push_back("epoch " + std::to_string(e.epoch) + "/" + std::to_string(e.epochs));
    told.push_back(e.result);
  };
  o.validation = points(20, 3);
  const History history = model.fit(data, o);
  EXPECT_EQ(seen, (std::vector<std::string>{"1:1/4", "1:2/4", "1:3/4", "1:4/4", "epoch 1/2", "2:1/4", "2:2/4", "2:3/4",
                                            "2:4/4", "epoch 2/2"}));
  ASSERT_EQ(told.size(), history.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i].values, history[i].values);
    EXPECT_TRUE(told[i].values.contains("val_loss")) << "it is called after the validation";
    EXPECT_EQ(told[i].examples, 100);
    EXPECT_FALSE(told[i].stopped);
  }
}

// Without a number of epochs, there are as many as the steps need.
TEST_P(FitStop, StepsAloneGiveAsManyEpochsAsTheyNeed) {
  struct Case {
    std::int64_t examples, batch_size, steps, epochs;
  };
  for (const Case& c : {Case{20, 10, 4, 2}, {20, 10, 5, 3}, {40, 7, 11, 2}, {40, 7, 12, 2}, {40, 7, 13, 3}}) {
    Model model = make();
    std::vector<std::int64_t> told;
    Fit o{.steps = c.steps, .batch_size = c.batch_size, .verbose = Verbose::silent};
    o.on_epoch = [&](const EpochInfo& e) { told.push_back(e.epochs); };
    const History history = model.fit(points(c.examples), o);
    std::int64_t steps = 0;
    for (const EpochResult& epoch : history) steps += epoch.steps;
    EXPECT_EQ(steps, c.steps) << "of " << c.examples << " examples";
    EXPECT_EQ(told, std::vector<std::int64_t>(static_cast<std::size_t>(c.epochs), c.epochs))
        << c.steps << " steps of " << c.examples << " examples";
  }
}

// A step's loss is that of the weights before it: what evaluate() gives after the step before.
TEST_P(FitStop, TheLossOfAStepIsThatOfItsBatchBeforeTheUpdate) {
  Model model = make();
  const data::Dataset few = points(24);
  double expected = model.evaluate(few).at("loss");
  Fit o{.epochs = 4, .batch_size = 24, .shuffle = std::nullopt, .verbose = Verbose::silent};
  o.on_step = [&](const StepInfo& s) {
    EXPECT_NEAR(s.loss(), expected, 1e-5) << s.epoch;
    const double next = model.evaluate(few).at("loss");
    EXPECT_NE(next, expected) << "the weights have changed";
    expected = next;
  };
  model.fit(few, o);
}

TEST_P(FitStop, ValuesAreMeansOverTheEpochSoFar) {
  Model model = make();
  Fit o = options(2);
  o.batch_size = 40;  // batches of 40, 40 and 20
  double total = 0, examples = 0;
  std::vector<double> accuracies;
  o.on_step = [&](const StepInfo& s) {
    if (s.step == 1) total = examples = 0;
    const double n = s.step == 3 ? 20 : 40;
    total += n * s.loss();
    examples += n;
    const std::map<std::string, double> values = s.values();
    EXPECT_EQ(values.size(), 2u);
    EXPECT_NEAR(values.at("loss"), total / examples, 1e-5);
    const double hits = values.at("accuracy") * examples;
    EXPECT_NEAR(hits, std::round(hits), 1e-4) << "of " << examples;
    if (s.step == s.steps) accuracies.push_back(values.at("accuracy"));
  };
  const History history = model.fit(data, o);
  EXPECT_EQ(accuracies, (std::vector{history[0].values.at("accuracy"), history[1].values.at("accuracy")}));
}

TEST_P(FitStop, TheLossIsADoubleOfEachDtype) {
  for (DType dtype : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    Model model = make(dtype);
    const Tensor x = cast(random_uniform({10, 2}, -1, 1, {.key = RandomKey{1, 0}}), dtype);
    Fit o = options(1);
    int calls = 0;
    o.on_step = [&](const StepInfo& s) {
      ++calls;
      EXPECT_GT(s.loss(), 0.3) << name_of(dtype);
      EXPECT_LT(s.loss(), 3) << name_of(dtype);
    };
    model.fit(data::Dataset::from_tensors(x, cast(zeros({10}), DType::i32)), o);
    EXPECT_EQ(calls, 1) << name_of(dtype);
  }
}

TEST_P(FitStop, OnlyAskedForValuesAreRead) {
  const auto reads_with = [&](const std::function<void(const StepInfo&)>& on_step) {
    Model model = make();
    Fit o = options(2);
    o.on_step = on_step;
    ReadCounter counter;
    model.fit(data, o);
    return counter.reads;
  };
  const int none = reads_with(nullptr);
  EXPECT_EQ(none, 2 * 4) << "at the end of each epoch: three sums of losses, one of hits";
  EXPECT_EQ(reads_with([](const StepInfo&) {}), none);
  EXPECT_EQ(reads_with([](const StepInfo& s) {
              if (s.step == 2) s.loss();
            }),
            none + 2);
}

TEST_P(FitStop, CallbacksCostNoMemory) {
  Model model = make();
  model.fit(data, options(1));
  synchronize(device);
  const std::uint64_t live = memory_stats(device).live;
  Fit o = options(1);
  o.on_step = [](const StepInfo& s) { s.loss(); };
  o.on_epoch = [](const EpochInfo&) {};
  model.fit(data, o);
  EXPECT_EQ(memory_stats(device).live, live);
}

TEST_P(FitStop, TheLossOfAStepIsGoneInTheNextStep) {
  if (!device.state().queue().is_inline()) GTEST_SKIP() << "how long commands keep memory varies";
  // What is in use where each step begins.
  const auto live = [&](const std::function<void(const StepInfo&)>& on_step) {
    std::vector<std::uint64_t> at_each_step;
    Model model(Sequential(Lambda{[&](const Tensor& x) {
                             at_each_step.push_back(memory_stats(device).live);
                             return x;
                           }},
                           Dense{.units = 3}));
    model.build({2});
    model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
    Fit o = options(1);
    o.on_step = on_step;
    model.fit(data, o);
    return at_each_step;
  };
  live(nullptr);  // makes what is made once
  const std::vector<std::uint64_t> without = live(nullptr);
  EXPECT_GT(without.size(), 10u);
  EXPECT_EQ(live([](const StepInfo& s) { s.loss(); }), without);
}

// ------------------------------------------------------------------------------------------------------------ stopping

TEST_P(FitStop, AStepCanBeTheLast) {
  Model model = make();
  Fit o = options();
  o.on_step = [](const StepInfo& s) {
    if (s.epoch == 2 && s.step == 3) s.stop();
  };
  int epochs = 0;
  o.on_epoch = [&](const EpochInfo& e) { EXPECT_EQ(e.result.stopped, ++epochs == 2); };
  const History history = model.fit(data, o);
  expect_planned(model, history, per_epoch + 3);
  ASSERT_EQ(history.size(), 2u);
  EXPECT_FALSE(history[0].stopped);
  EXPECT_TRUE(history[1].stopped);
  EXPECT_EQ(history[1].steps, 3);
  EXPECT_EQ(history[1].examples, 30);
  EXPECT_EQ(epochs, 2) << "on_epoch is told of the epoch that was stopped";
  EXPECT_EQ(model.optimizer().steps(), per_epoch + 3);
}

TEST_P(FitStop, AnEpochCanBeTheLast) {
  Model model = make();
  Fit o = options();
  o.validation = points(20, 3);
  o.on_epoch = [](const EpochInfo& e) {
    if (e.epoch == 2) e.stop();
  };
  const History history = model.fit(data, o);
  ASSERT_EQ(history.size(), 2u);
  for (const EpochResult& epoch : history) {
    EXPECT_FALSE(epoch.stopped) << "it had ended";
    EXPECT_TRUE(epoch.values.contains("val_loss"));
  }
  EXPECT_EQ(model.weights_sha256(), planned(2 * per_epoch).weights);
}

TEST_P(FitStop, AStoppedEpochHasNoValidation) {
  Model model = make();
  Fit o = options();
  o.validation = points(20, 3);
  o.on_step = [](const StepInfo& s) {
    if (s.step == 4) s.stop();
  };
  const History history = model.fit(data, o);
  ASSERT_EQ(history.size(), 1u);
  EXPECT_TRUE(history[0].stopped);
  EXPECT_EQ(history[0].values, planned(4).history[0].values);
}

TEST_P(FitStop, AStopInTheLastStepLeavesOutTheValidationAlone) {
  for (const bool validated : {false, true}) {
    Model model = make();
    Fit o = options();
    if (validated) o.validation = points(20, 3);
    o.on_step = [](const StepInfo& s) {
      if (s.step == s.steps) s.stop();
    };
    const History history = model.fit(data, o);
    expect_planned(model, history, per_epoch);
    EXPECT_EQ(history.back().stopped, validated) << "without a validation nothing is missing";
  }
}

TEST_P(FitStop, AnotherThreadCanStopIt) {
  Model model = make();
  std::stop_source source;
  Fit o = options();
  o.should_stop = [token = source.get_token()] { return token.stop_requested(); };
  o.on_step = [&](const StepInfo& s) {
    if (s.step == 4) std::thread([&] { source.request_stop(); }).join();
  };
  const History history = model.fit(data, o);
  expect_planned(model, history, 4);
  EXPECT_TRUE(history.back().stopped);
}

std::atomic<bool> interrupted{false};

TEST_P(FitStop, ASignalCanStopIt) {
  static_assert(std::atomic<bool>::is_always_lock_free);
  interrupted = false;
  const auto before = std::signal(SIGUSR1, [](int) { interrupted = true; });
  Model model = make();
  Fit o = options();
  o.should_stop = [] { return interrupted.load(); };
  o.on_step = [](const StepInfo& s) {
    if (s.epoch == 2 && s.step == 2) std::raise(SIGUSR1);
  };
  const History history = model.fit(data, o);
  std::signal(SIGUSR1, before);
  expect_planned(model, history, per_epoch + 2);
}

TEST_P(FitStop, BeforeTheFirstStepNothingHappens) {
  Model model = make();
  const std::string weights = model.weights_sha256();
  Fit o = options();
  int epochs = 0;
  o.should_stop = [] { return true; };
  o.on_epoch = [&](const EpochInfo&) { ++epochs; };
  EXPECT_TRUE(model.fit(data, o).empty());
  EXPECT_EQ(epochs, 0);
  EXPECT_EQ(model.weights_sha256(), weights);
  EXPECT_EQ(model.optimizer().steps(), 0);
  model.fit(data, options(1));
  EXPECT_EQ(model.weights_sha256(), planned(per_epoch).weights) << "the first order of examples is still to come";
}

TEST_P(FitStop, AValidationCanBeStopped) {
  Model model = make();
  Fit o = options();
  o.validation = points(50, 3);  // five batches
  std::int64_t asked = 0;
  o.should_stop = [&] { return ++asked == per_epoch + 3; };
  const History history = model.fit(data, o);
  EXPECT_EQ(asked, per_epoch + 3) << "before each step and each batch of validation, and never after it said yes";
  expect_planned(model, history, per_epoch);
  EXPECT_TRUE(history.back().stopped);
}

TEST_P(FitStop, TrainingGoesOnWithTheNextEpoch) {
  Model model = make();
  Fit o = options();
  o.on_step = [](const StepInfo& s) { s.stop(); };
  model.fit(data, o);
  model.fit(data, options(1));
  Model other = make();
  Fit one = options(1);
  one.steps = 1;
  other.fit(data, one);
  other.fit(data, options(1));
  EXPECT_EQ(model.weights_sha256(), other.weights_sha256());
}

// ---------------------------------------------------------------------------------------------------------- exceptions

struct Ended : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST_P(FitStop, AnExceptionOfACallbackLeavesTheModelAsAfterTheLastStep) {
  const auto ended_by = [&](std::int64_t steps, const std::function<void(Fit&)>& set) {
    Model model = make();
    Fit o = options();
    o.validation = points(20, 3);
    set(o);
    synchronize(device);
    const std::uint64_t before = memory_stats(device).live;
    EXPECT_THROW(model.fit(data, o), Ended);
    synchronize(device);
    const std::uint64_t slots = memory_stats(device).live - before;
    EXPECT_EQ(model.optimizer().steps(), steps);
    EXPECT_EQ(model.weights_sha256(), planned(steps).weights);
    model.fit(data, options(1));
    synchronize(device);
    EXPECT_EQ(memory_stats(device).live - before, slots) << "only the optimizer's state stays";
    EXPECT_EQ(model.optimizer().steps(), steps + per_epoch);
  };
  ended_by(3, [](Fit& o) {
    o.on_step = [](const StepInfo& s) {
      if (s.step == 3) throw Ended("in a step");
    };
  });
  ended_by(per_epoch, [](Fit& o) { o.on_epoch = [](const EpochInfo&) { throw Ended("in an epoch"); }; });
  ended_by(5, [](Fit& o) {
    o.should_stop = [asked = 0]() mutable { return ++asked == 6 ? throw Ended("between steps") : false; };
  });
  ended_by(per_epoch, [](Fit& o) {
    o.should_stop = [asked = 0]() mutable { return ++asked == per_epoch + 2 ? throw Ended("in validation") : false; };
  });
}

TEST_P(FitStop, ACallbacksOwnLackOfMemoryGetsNoAdvice) {
  Model model = make();
  const auto lack = [] {
    ErrorBuilder(ErrorId::out_of_memory, "callback", "the callback needs more").fix("mine").raise();
  };
  for (int place = 0; place < 3; ++place) {
    Fit o = options(1);
    if (place == 0) o.on_step = [&](const StepInfo&) { lack(); };
    if (place == 1) o.on_epoch = [&](const EpochInfo&) { lack(); };
    if (place == 2)
      o.should_stop = [&]() -> bool {
        lack();
        return true;
      };
    try {
      model.fit(data, o);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const OutOfMemoryError& e) {
      EXPECT_EQ(e.hint(), "mine") << place;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, FitStop, testing::ValuesIn(available_devices()), &by_device);

}  // namespace
}  // namespace lockstep::nn
