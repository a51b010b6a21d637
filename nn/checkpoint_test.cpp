// Tests of checkpoints: training that is saved, loaded and continued gives the bits of training that was never
// interrupted, also in another process.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "nn/test_files.h"
#include "nn/test_points.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep::nn {
namespace {

// Keeps a moving average of its inputs in training, as batch normalisation does.
class Average : public Layer {
 public:
  Average() : Layer("average") {}

 protected:
  void build(const Shape& input) override { mean_ = add_variable("mean", zeros({input[-1]}), false); }
  Tensor call(const Tensor& x, const Call& c) const override {
    if (c.training) mean_->assign(0.75 * *mean_ + 0.25 * mean(x, {{0}}));
    return x - *mean_;
  }

 private:
  std::optional<Variable> mean_;
};

// Weights, running statistics, order of examples and Dropout's random numbers all matter to its training.
Model make(std::uint64_t seed, std::int64_t units = 6,
           optim::Optimizer optimizer = optim::Adam{.learning_rate = 0.02}) {
  set_seed(seed);
  Model model(Sequential(Average{}, Dense{.units = units}, Tanh{}, Dropout{0.25}, Dense{.units = 3}));
  model.build({2});
  model.compile({.optimizer = std::move(optimizer),
                 .loss = losses::SparseCategoricalCrossentropy{},
                 .metrics = {metrics::Accuracy{}}});
  return model;
}

Fit options(std::int64_t epochs) { return {.epochs = epochs, .batch_size = 8, .verbose = Verbose::silent}; }

// All that a checkpoint restores.
struct State {
  explicit State(Model& model)
      : weights(model.weights_sha256()),
        slots(weights_sha256(model.optimizer().state())),
        steps(model.optimizer().steps()),
        epochs(model.epochs()),
        learning_rate(model.optimizer().learning_rate()),
        random(random_position()) {}
  std::string weights, slots;
  std::int64_t steps, epochs;
  double learning_rate;
  RandomKey random;

  friend bool operator==(const State& a, const State& b) {
    return a.weights == b.weights && a.slots == b.slots && a.steps == b.steps && a.epochs == b.epochs &&
           a.learning_rate == b.learning_rate && a.random.seed == b.random.seed && a.random.stream == b.random.stream;
  }
  friend std::ostream& operator<<(std::ostream& out, const State& s) {
    return out << s.weights.substr(0, 8) << " " << s.slots.substr(0, 8) << ", " << s.steps << " steps, " << s.epochs
               << " epochs, rate " << s.learning_rate << ", random " << s.random.seed << "/" << s.random.stream;
  }
};

class Checkpoint : public testing::TestWithParam<std::string> {
 protected:
  TemporaryFolder folder;
  std::string path = folder.file("run.checkpoint");
  Device device{GetParam()};
  DeviceScope scope{device};
  data::Dataset data = points(50);
};

TEST_P(Checkpoint, ContinuesWithTheBitsOfAnUninterruptedRun) {
  Model undisturbed = make(7);
  undisturbed.fit(data, options(5));
  const State expected(undisturbed);

  State halfway = expected;
  {
    Model first = make(7);
    first.fit(data, options(2));
    first.save_checkpoint(path);
    halfway = State(first);
    EXPECT_EQ(folder.file_count(), 1u);
  }
  Model second = make(1234);  // another start
  random_uniform({3});
  second.load_checkpoint(path);
  EXPECT_EQ(State(second), halfway);
  EXPECT_EQ(second.epochs(), 2);
  second.fit(data, options(3));
  EXPECT_EQ(State(second), expected);
}

TEST_P(Checkpoint, ALoopThatSavesEachEpochCanStartAgainAnywhere) {
  Model undisturbed = make(7);
  undisturbed.fit(data, options(4));
  for (std::int64_t process = 0; process < 4; ++process) {
    Model model = make(100 + static_cast<std::uint64_t>(process));
    if (process == 0) {
      model = make(7);
    } else {
      model.load_checkpoint(path);
    }
    ASSERT_EQ(model.epochs(), process);
    Fit one = options(1);
    one.on_epoch = [&](const EpochInfo&) { model.save_checkpoint(path); };
    model.fit(data, one);
    model.train_step({ones({2, 2}), Tensor({0, 1})});  // what comes after the save is lost
  }
  Model last = make(5);
  last.load_checkpoint(path);
  EXPECT_EQ(last.weights_sha256(), undisturbed.weights_sha256());
  EXPECT_EQ(last.optimizer().steps(), undisturbed.optimizer().steps());
}

TEST_P(Checkpoint, OfEachOptimizerAndBeforeTheFirstStep) {
  const auto each = [](const std::function<void(const std::function<optim::Optimizer()>&)>& f) {
    f([]() -> optim::Optimizer { return optim::Sgd{.learning_rate = 0.1}; });
    f([]() -> optim::Optimizer { return optim::Sgd{.learning_rate = 0.1, .momentum = 0.9}; });
    f([]() -> optim::Optimizer { return optim::Adam{}; });
  };
  each([&](const std::function<optim::Optimizer()>& optimizer) {
    for (const std::int64_t before : {0, 1}) {
      Model first = make(3, 6, optimizer());
      if (before > 0) first.fit(data, options(before));
      first.save_checkpoint(path);
      first.fit(data, options(1));
      const State expected(first);
      Model second = make(4, 6, optimizer());
      second.fit(data, options(2));
      second.load_checkpoint(path);
      second.fit(data, options(1));
      EXPECT_EQ(State(second), expected) << before;
    }
  });
}

TEST_P(Checkpoint, WithHalfWidthWeights) {
  for (DType dtype : {DType::f16, DType::bf16}) {
    const auto make_half = [&](std::uint64_t seed) {
      set_seed(seed);
      Model model(Sequential(Dense{.units = 5}, Tanh{}, Dropout{0.25}, Dense{.units = 3}));
      model.build({2}, device, dtype);
      model.compile({.optimizer = optim::Adam{.epsilon = 1e-4}, .loss = losses::SparseCategoricalCrossentropy{}});
      return model;
    };
    const data::Dataset half = points(32).prepare([=](const Tensor& x) { return cast(x, dtype); });
    Model first = make_half(1);
    first.fit(half, options(2));
    first.save_checkpoint(path);
    first.fit(half, options(1));
    Model second = make_half(2);
    second.load_checkpoint(path);
    second.fit(half, options(1));
    EXPECT_EQ(State(second), State(first)) << name_of(dtype);
  }
}

TEST_P(Checkpoint, AnotherProcessContinuesWithTheSameBits) {
  Model undisturbed = make(7);
  undisturbed.fit(data, options(4));
  Model first = make(7);
  first.fit(data, options(2));
  first.save_checkpoint(path);
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = "LOCKSTEP_TEST_CHECKPOINT='" + path + "' LOCKSTEP_TEST_DEVICE='" + GetParam() + "' '" +
                              program + "' --gtest_filter=CheckpointOf.AnotherProcess 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  std::array<char, 512> part;
  while (std::fgets(part.data(), part.size(), pipe)) text += part.data();
  EXPECT_EQ(pclose(pipe), 0) << text;
  EXPECT_NE(text.find("weights " + undisturbed.weights_sha256()), std::string::npos) << text;
}

// Runs in a process of its own, which the test above starts.
TEST(CheckpointOf, AnotherProcess) {
  const char* const path = std::getenv("LOCKSTEP_TEST_CHECKPOINT");
  const char* const device = std::getenv("LOCKSTEP_TEST_DEVICE");
  if (!path || !device) GTEST_SKIP() << "the other tests start this one";
  const DeviceScope scope{Device(device)};
  Model model = make(99);
  model.load_checkpoint(path);
  model.fit(points(50), options(2));
  std::printf("weights %s\n", model.weights_sha256().c_str());
}

TEST_P(Checkpoint, ALearningRateIsLoadedAndCanBeSetAfterwards) {
  Model first = make(7);
  first.optimizer().set_learning_rate(0.5);
  first.save_checkpoint(path);
  Model second = make(8);
  second.load_checkpoint(path);
  EXPECT_EQ(second.optimizer().learning_rate(), 0.5);
  second.optimizer().set_learning_rate(0.25);
  EXPECT_EQ(second.optimizer().learning_rate(), 0.25);
}

// evaluate() takes no larger batches than training did, which fit into memory.
TEST_P(Checkpoint, EvaluationTakesTheBatchesOfTheLoadedTraining) {
  Model first = make(7);
  first.fit(data, options(1));
  first.save_checkpoint(path);
  std::vector<std::int64_t> sizes;
  const Lambda noted{[&](const Tensor& x) {
    if (!x.is_abstract()) sizes.push_back(x.shape()[0]);
    return x;
  }};
  Model second(Sequential(Average{}, Dense{.units = 6}, Tanh{}, Dropout{0.25}, Dense{.units = 3}, noted));
  second.build({2});
  second.compile({.optimizer = optim::Adam{.learning_rate = 0.02}, .loss = losses::SparseCategoricalCrossentropy{}});
  second.load_checkpoint(path);
  sizes.clear();
  second.evaluate(data);
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{8, 8, 8, 8, 8, 8, 2})) << "50 examples";
}

TEST_P(Checkpoint, ItsPartsCanBeLoadedAlone) {
  Model first = make(7);
  first.fit(data, options(2));
  first.save_checkpoint(path);
  Model weights = make(8);
  weights.load_weights(path);
  EXPECT_EQ(weights.weights_sha256(), first.weights_sha256());
  EXPECT_EQ(weights.optimizer().steps(), 0);
  EXPECT_EQ(weights.epochs(), 0);
  Model optimizer = make(9);
  const std::string before = optimizer.weights_sha256();
  load_optimizer(path, optimizer.optimizer(), optimizer.trainable_variables());
  EXPECT_EQ(optimizer.weights_sha256(), before);
  EXPECT_EQ(weights_sha256(optimizer.optimizer().state()), weights_sha256(first.optimizer().state()));
}

TEST_P(Checkpoint, CompilingAgainStartsFromEpochZero) {
  Model model = make(7);
  model.fit(data, options(2));
  EXPECT_EQ(model.epochs(), 2);
  model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
  EXPECT_EQ(model.epochs(), 0);
}

// ------------------------------------------------------------------------------------------------------------ failures

TEST_P(Checkpoint, WhatDoesNotFitIsNamedAndChangesNothing) {
  Model model = make(7);
  model.fit(data, options(1));
  const State before(model);
  const auto refuse = [&](ErrorId id, const std::string& part) {
    expect_error_saying([&] { model.load_checkpoint(path); }, id, {"load_checkpoint: " + path + ": " + part},
                        "checkpoint_test.cpp:", true);
    EXPECT_EQ(State(model), before) << part;
  };
  Model wider = make(8, 7);
  wider.fit(data, options(1));
  const RandomKey position = random_position();
  wider.save_checkpoint(path);
  EXPECT_EQ(random_position().stream, position.stream);
  set_random_position(before.random);
  refuse(ErrorId::does_not_match, "tensor \"dense/bias\" is f32 (7), the model has f32 (6)");
  model.save_weights(path);
  refuse(ErrorId::does_not_match, "it is not a checkpoint: it does not say where training stands");
  {
    Model sgd = make(9, 6, optim::Sgd{.momentum = 0.9});
    sgd.fit(data, options(1));
    sgd.save_checkpoint(path);
    set_random_position(before.random);
  }
  refuse(ErrorId::does_not_match, "the snapshot is of Sgd, the optimizer is Adam");

  model.save_checkpoint(path);
  const TensorFile good = load_tensors(path);
  const auto with = [&](const std::string& key, const std::string& text) {
    TensorFile file = good;
    file.metadata[key] = text;
    save_tensors(path, file.tensors, file.metadata);
  };
  with("training.epochs", "-1");
  refuse(ErrorId::corrupt, "it has -1 epochs");
  with("training.batch_size", "0");
  refuse(ErrorId::corrupt, "it has a batch size of 0");
  with("training.random_stream", "many");
  refuse(ErrorId::corrupt, "its metadata has the \"training.random_stream\" \"many\"");
  TensorFile file = good;
  file.tensors.erase("@optimizer/dense/bias/adam_u");
  save_tensors(path, file.tensors, file.metadata);
  refuse(ErrorId::does_not_match, "there is no tensor \"dense/bias/adam_u\"");
  file.tensors.erase("average/mean");
  save_tensors(path, file.tensors, file.metadata);
  refuse(ErrorId::does_not_match, "there is no tensor \"average/mean\"");
}

TEST_P(Checkpoint, AFailureAtAnyPointChangesNothing) {
  State saved = [&] {
    Model source = make(7);
    source.fit(data, options(2));
    source.save_checkpoint(path);
    return State(source);
  }();
  int failures = 0;
  for (std::uint64_t k = 1;; ++k) {
    Model model = make(8);
    model.fit(data.take(8), options(1));
    const State before(model);
    release_cached_memory(device);
    const std::uint64_t live = memory_stats(device).live;
    bool failed = false, fired = false;
    {
      FaultInjection fault(k);
      try {
        model.load_checkpoint(path);
      } catch (const Error&) {
        failed = true;
      }
      fired = fault.fired();
    }
    ASSERT_EQ(State(model), failed ? before : saved) << k;
    synchronize(device);
    ASSERT_EQ(memory_stats(device).live, live) << k;
    failures += failed ? 1 : 0;
    if (!fired) break;
    ASSERT_LT(k, 1000u);
  }
  EXPECT_GE(failures, 13) << "five variables and eight slots need memory";
}

TEST_P(Checkpoint, OrderOfUseIsNamed) {
  Model model(Sequential(Dense{.units = 3}));
  const auto refuse = [&](ErrorId id, const std::function<void()>& act) {
    expect_error_saying(act, id, {"checkpoint: the model has no"}, "checkpoint_test.cpp:", true);
  };
  refuse(ErrorId::not_built, [&] { model.save_checkpoint(path); });
  refuse(ErrorId::not_built, [&] { model.load_checkpoint(path); });
  model.build({2});
  refuse(ErrorId::not_compiled, [&] { model.save_checkpoint(path); });
  refuse(ErrorId::not_compiled, [&] { model.load_checkpoint(path); });
  EXPECT_EQ(folder.file_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Devices, Checkpoint, testing::ValuesIn(available_devices()), &by_device);

TEST(CheckpointFile, NamesThatAreTheOptimizersAreRefused) {
  const TemporaryFolder folder;
  Model model(Sequential(Dense{.units = 3, .name = "@optimizer"}));
  model.build({2});
  model.compile({.optimizer = optim::Sgd{}, .loss = losses::MeanSquaredError{}});
  expect_error_saying([&] { model.save_checkpoint(folder.file("file")); }, ErrorId::invalid_use,
                      {"a variable is named \"@optimizer/bias\""}, "checkpoint_test.cpp:", true);
}

// As with weights: the load succeeds (if the bit is one of a value or of an unused text) or throws an IoError.
TEST(CheckpointFile, FlippedBitsOfTheHeaderAreNoMoreThanIoErrors) {
  const TemporaryFolder folder;
  const DeviceScope scope{Device("reference")};
  const std::string path = folder.file("run.checkpoint");
  Model model = make(7);
  model.train_step({ones({2, 2}), Tensor({0, 1})});
  model.save_checkpoint(path);
  const std::string whole = read_file(path);
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  int refused = 0;
  for (std::size_t bit = 0; bit < 8 * (8 + header); bit += 5) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    folder.write("run.checkpoint", flipped);
    try {
      model.load_checkpoint(path);
    } catch (const IoError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace lockstep::nn
