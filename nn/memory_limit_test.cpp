// Tests of training with a memory limit: the error names a batch that fits, the model is unchanged, and training can go
// on.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <regex>

#include "lockstep/lockstep.h"
#include "runtime/test_devices.h"

namespace lockstep::nn {
namespace {

const auto every_device = testing::ValuesIn(available_devices());

class OnDevice : public testing::Test {
 protected:
  explicit OnDevice(const std::string& name) : device(name) {}
  void TearDown() override {
    set_memory_limit(device, std::nullopt);
    set_thread_count(0);
  }

  static data::Dataset examples(std::int64_t n, std::int64_t features) {
    return data::Dataset::from_tensors(random_normal({n, features}, 0, 1, {.key = RandomKey{5, 5}}),
                                       cast(zeros({n}), DType::i32));
  }
  static Fit one_step(std::int64_t batch) { return {.steps = 1, .batch_size = batch, .verbose = Verbose::silent}; }

  // The error message of fit() with this batch size; "" if it fits.
  static std::string failure(Model& model, const data::Dataset& data, std::int64_t batch, ErrorId* id = nullptr) {
    try {
      model.fit(data, one_step(batch));
      return "";
    } catch (const OutOfMemoryError& e) {
      if (id) *id = e.id();
      EXPECT_EQ(advised(e.hint()), advised(e.what())) << "the hint is that of the text";
      return e.what();
    }
  }
  static std::int64_t advised(const std::string& text) {
    std::smatch found;
    if (!std::regex_search(text, found, std::regex("batch ([0-9]+) fits \\(measured peak "))) return 0;
    const std::int64_t batch = std::stoll(found[1].str());
    EXPECT_TRUE(batch < 16 || batch % 8 == 0) << batch << " is not a round number";
    return batch;
  }

  Device device;
  DeviceScope scope{device};
};

class MemoryLimit : public OnDevice, public testing::WithParamInterface<std::string> {
 protected:
  MemoryLimit() : OnDevice(GetParam()) {}
};

INSTANTIATE_TEST_SUITE_P(Devices, MemoryLimit, every_device, &by_driver);

Model wide(std::int64_t inputs, std::int64_t units, optim::Optimizer optimizer) {
  set_seed(3);
  Model model(Sequential(Dense{.units = units}, Relu{}, Dense{.units = units}, Relu{}, Dense{.units = 4}));
  model.build({inputs});
  model.compile({.optimizer = std::move(optimizer), .loss = losses::SparseCategoricalCrossentropy{}});
  return model;
}

struct Situation {
  const char* name;
  std::int64_t inputs, units;
  bool adam;
  std::uint64_t limit;
};

class AdviceFits : public OnDevice, public testing::WithParamInterface<std::tuple<std::string, Situation>> {
 protected:
  AdviceFits() : OnDevice(std::get<0>(GetParam())) {}
};

TEST_P(AdviceFits, AndTheModelIsAsBefore) {
  const Situation& s = std::get<1>(GetParam());
  optim::Optimizer optimizer = s.adam ? optim::Optimizer(optim::Adam{}) : optim::Optimizer(optim::Sgd{});
  Model model = wide(s.inputs, s.units, std::move(optimizer));
  const data::Dataset data = examples(4096, s.inputs);
  release_cached_memory(device);
  const std::string weights = model.weights_sha256();
  const RandomKey position = random_position();
  set_memory_limit(device, s.limit);

  std::int64_t batch = 4096;
  ErrorId id{};
  const std::string text = failure(model, data, batch, &id);
  ASSERT_NE(text, "") << "the limit is too high for this test";
  EXPECT_EQ(id, ErrorId::out_of_memory);
  EXPECT_EQ(model.weights_sha256(), weights);
  EXPECT_EQ(model.optimizer().steps(), 0);
  EXPECT_EQ(random_position().stream, position.stream);

  batch = advised(text);
  ASSERT_GT(batch, 0) << text;
  EXPECT_LT(batch, 4096);
  EXPECT_EQ(failure(model, data, batch), "") << "the advice was followed";
  EXPECT_EQ(model.optimizer().steps(), 1);
  EXPECT_NE(failure(model, data, 4 * batch), "") << "the advice was not far too careful: " << batch;
  EXPECT_EQ(failure(model, data, batch), "") << "training goes on after an error";
}

INSTANTIATE_TEST_SUITE_P(Situations, AdviceFits,
                         testing::Combine(every_device,
                                          testing::Values(Situation{"Activations", 16, 64, false, 2 << 20},
                                                          Situation{"Weights", 64, 256, true, 5 << 20},
                                                          Situation{"Data", 1024, 8, false, 8 << 20})),
                         [](const auto& of) {
                           return driver_name_of(std::get<0>(of.param)) + std::get<1>(of.param).name;
                         });

// ---------------------------------------------------------------------------------------------- the advised batch size

// The advised batch size fits: for a whole epoch with its smaller last batch, and for the evaluation after it, both in
// the model that ran out of memory and in a new one.
struct Kind {
  const char* name;
  std::function<Model()> make;
  Shape example;
  std::int64_t count;          // not divisible by any common batch size
  std::vector<double> limits;  // MiB
};

Model compiled(Model model, const Shape& example, optim::Optimizer optimizer, bool binary) {
  set_seed(3);
  model.build(example);
  const losses::Loss loss =
      binary ? losses::Loss(losses::BinaryCrossentropy{}) : losses::Loss(losses::SparseCategoricalCrossentropy{});
  const metrics::Metric metric =
      binary ? metrics::Metric(metrics::BinaryAccuracy{}) : metrics::Metric(metrics::Accuracy{});
  model.compile({.optimizer = std::move(optimizer), .loss = loss, .metrics = {metric}});
  return model;
}

std::vector<Kind> kinds() {
  const auto mlp = [] {
    return compiled(Model(Sequential(Dense{.units = 256}, Relu{}, Dense{.units = 256}, Relu{}, Dense{.units = 1})),
                    {64}, optim::Adam{}, true);
  };
  const auto narrow = [] {
    return compiled(Model(Sequential(Dense{.units = 24}, Gelu{}, Dropout{0.3}, Dense{.units = 4})), {16},
                    optim::Sgd{.learning_rate = 0.1, .momentum = 0.9}, false);
  };
  const auto wide_input = [] {
    return compiled(Model(Sequential(Dense{.units = 8}, Tanh{}, Dense{.units = 4})), {1024}, optim::Sgd{}, false);
  };
  const auto images = [] {
    return compiled(Model(Sequential(Conv2d{.filters = 8, .kernel = 3}, Relu{}, MaxPool2d{}, Flatten{},
                                     Dense{.units = 32}, Relu{}, Dense{.units = 4})),
                    {8, 8, 1}, optim::Adam{}, false);
  };
  return {{"Mlp", mlp, {64}, 2511, {4, 8}},
          {"Narrow", narrow, {16}, 12'011, {3, 4.4}},
          {"WideInput", wide_input, {1024}, 2511, {3, 6.5}},
          {"Images", images, {8, 8, 1}, 2511, {2.5, 4}}};
}

class AdvisedEpoch : public testing::TestWithParam<std::tuple<std::string, Kind>> {
 protected:
  void TearDown() override { set_memory_limit(device, std::nullopt); }
  data::Dataset examples(std::int64_t n) const {
    const Kind& kind = std::get<1>(GetParam());
    Shape shape{n};
    for (Dim d : kind.example.dims()) shape.append(d);
    return data::Dataset::from_tensors(random_normal(shape, 0, 1, {.key = RandomKey{5, 5}}), zeros({n}, DType::u8));
  }
  // The error message of an epoch; "" if it fits.
  static std::string failure(Model& model, const data::Dataset& data, const data::Dataset& validation,
                             std::int64_t batch) {
    try {
      model.fit(data, {.epochs = 1, .batch_size = batch, .validation = validation, .verbose = Verbose::silent});
      return "";
    } catch (const OutOfMemoryError& e) {
      return e.what();
    }
  }

  Device device{std::get<0>(GetParam())};
  DeviceScope scope{device};
};

TEST_P(AdvisedEpoch, Fits) {
  const Kind& kind = std::get<1>(GetParam());
  const std::int64_t count = kind.count;
  const data::Dataset data = examples(count), validation = examples(391);
  int advised_at_all = 0;
  for (double limit : kind.limits) {
    std::int64_t batch = 0;
    {
      Model model = kind.make();
      release_cached_memory(device);
      set_memory_limit(device, static_cast<std::uint64_t>(limit * (1 << 20)));
      const std::string text = failure(model, data, validation, count);
      if (text.empty()) continue;
      std::smatch found;
      if (!std::regex_search(text, found, std::regex("batch ([0-9]+) fits"))) continue;
      batch = std::stoll(found[1].str());
      ++advised_at_all;
      EXPECT_TRUE(batch < 16 || batch % 8 == 0) << batch << " is not a round number";
      EXPECT_EQ(failure(model, data, validation, batch), "") << limit << " MiB, batch " << batch;
      if (4 * batch < count) {
        EXPECT_NE(failure(model, data, validation, 4 * batch), "") << limit << " MiB, " << batch << " is too careful";
      }
      EXPECT_NO_THROW(model.evaluate(validation)) << limit << " MiB, batch " << batch;
      set_memory_limit(device, std::nullopt);
    }
    // As in a new process, where the limit is set before anything is allocated.
    release_cached_memory(device);
    set_memory_limit(device, static_cast<std::uint64_t>(limit * (1 << 20)));
    Model fresh = kind.make();
    EXPECT_EQ(failure(fresh, data, validation, batch), "") << limit << " MiB, batch " << batch << ", fresh";
    set_memory_limit(device, std::nullopt);
  }
  EXPECT_EQ(advised_at_all, 2) << "the limits are too high or too low for this test";
}

std::vector<std::tuple<std::string, Kind>> grid() {
  std::vector<std::tuple<std::string, Kind>> all;
  for (const std::string& device : available_devices()) {
    for (const Kind& kind : kinds()) all.emplace_back(device, kind);
  }
  return all;
}

void PrintTo(const std::tuple<std::string, Kind>& point, std::ostream* out) {
  *out << std::get<0>(point) << " " << std::get<1>(point).name;
}

INSTANTIATE_TEST_SUITE_P(Grid, AdvisedEpoch, testing::ValuesIn(grid()), [](const auto& test) {
  return driver_name_of(std::get<0>(test.param)) + std::get<1>(test.param).name;
});

// Two activations of 4096 examples take 2 MiB.
TEST_P(MemoryLimit, EvaluationAdvisesABatchThatFits) {
  Model model = wide(16, 64, optim::Adam{});
  const data::Dataset data = examples(4099, 16);
  const auto evaluation_failure = [&](Model& evaluated, std::int64_t batch) -> std::string {
    try {
      evaluated.evaluate(data, batch);
      return "";
    } catch (const OutOfMemoryError& e) {
      EXPECT_EQ(e.id(), ErrorId::out_of_memory) << e.what();
      EXPECT_NE(e.where().find("memory_limit_test.cpp:"), std::string::npos) << e.what();
      return e.what();
    }
  };
  release_cached_memory(device);
  const std::string weights = model.weights_sha256();
  set_memory_limit(device, 2 << 20);
  const std::string text = evaluation_failure(model, 4099);
  const std::int64_t batch = advised(text);
  ASSERT_GT(batch, 0) << text;
  EXPECT_EQ(evaluation_failure(model, batch), "") << batch;
  EXPECT_NE(evaluation_failure(model, std::min<std::int64_t>(4 * batch, 4099)), "")
      << "the advice was not far too careful: " << batch;
  EXPECT_EQ(model.weights_sha256(), weights);
  EXPECT_EQ(model.optimizer().steps(), 0);
  set_memory_limit(device, std::nullopt);
  // As in a new process, where the limit is set before anything is allocated.
  release_cached_memory(device);
  set_memory_limit(device, 2 << 20);
  Model fresh = wide(16, 64, optim::Adam{});
  EXPECT_EQ(evaluation_failure(fresh, batch), "") << batch;
}

TEST_P(MemoryLimit, ASingleExampleMayBeAllThatFits) {
  const data::Dataset data = examples(9, 1 << 16);  // 256 KiB each
  // Built without oneDNN, the matmul of cpu needs 150 KiB of workspace per thread, and the limits leave room for
  // little more.
  set_thread_count(1);
  for (double limit : {1.9, 2.3, 2.9}) {
    set_seed(3);
    Model model(Sequential(Dense{.units = 2}));
    model.build({1 << 16});
    model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
    release_cached_memory(device);
    set_memory_limit(device, static_cast<std::uint64_t>(limit * (1 << 20)));
    const std::string text = failure(model, data, 9);
    const std::int64_t batch = advised(text);
    EXPECT_GE(batch, 1) << limit << "\n" << text;
    EXPECT_LE(batch, 4) << limit;
    if (batch > 0) {
      EXPECT_NO_THROW(model.fit(data, {.batch_size = batch, .validation = data, .verbose = Verbose::silent}));
    }
    set_memory_limit(device, std::nullopt);
  }
}

// If memory is fragmented, the step is repeated in compact memory. The weights have the same bits as without a limit.
TEST_P(MemoryLimit, AStepThatIsRepeatedGivesTheSameBits) {
  const data::Dataset data = examples(500, 16);
  const auto train = [&](bool in_pieces) {
    Model model = wide(16, 64, optim::Adam{});
    std::vector<Tensor> kept;
    if (in_pieces) {
      release_cached_memory(device);
      // Keeps every other block. The gaps between them are too small for the activations of a step.
      std::vector<Tensor> all;
      for (int i = 0; i < 12; ++i) all.push_back(zeros({32 * 1024}));
      for (std::size_t i = 0; i < all.size(); i += 2) kept.push_back(all[i]);
      all.clear();
      set_memory_limit(device, memory_stats(device).reserved + (160 << 10));
    }
    model.fit(data, {.epochs = 2, .batch_size = 200, .verbose = Verbose::silent});
    set_memory_limit(device, std::nullopt);
    return model.weights_sha256();
  };
  EXPECT_EQ(train(true), train(false));
}

TEST_P(MemoryLimit, AStepAfterAnErrorGivesTheBitsOfOneWithoutIt) {
  const data::Dataset data = examples(4096, 16);
  const auto train = [&](bool with_error) {
    Model model = wide(16, 64, optim::Adam{});
    if (with_error) {
      release_cached_memory(device);
      set_memory_limit(device, 2 << 20);
      EXPECT_NE(failure(model, data, 4096), "");
      set_memory_limit(device, std::nullopt);
    }
    model.fit(data, one_step(100));
    model.fit(data, one_step(100));
    return model.weights_sha256();
  };
  EXPECT_EQ(train(true), train(false));
}

// The memory is short in a step, after a callback has returned.
TEST_P(MemoryLimit, CallbacksThatHaveReturnedTakeNoAdviceAway) {
  const data::Dataset data = examples(8192, 16);
  const auto tighten = [&] {
    set_memory_limit(device, std::nullopt);
    release_cached_memory(device);
    set_memory_limit(device, memory_stats(device).reserved + (1 << 20));
  };
  for (int place = 0; place < 3; ++place) {
    Model model = wide(16, 64, optim::Sgd{});
    Fit options{.epochs = 2, .batch_size = 4096, .verbose = Verbose::silent};
    if (place == 0) options.should_stop = [&] { return tighten(), false; };
    if (place == 1) options.on_step = [&](const StepInfo&) { tighten(); };
    if (place == 2) options.on_epoch = [&](const EpochInfo&) { tighten(); };
    try {
      model.fit(data, options);
      ADD_FAILURE() << "the limit is too high for this test";
    } catch (const OutOfMemoryError& e) {
      EXPECT_GT(advised(e.hint()), 0) << place << "\n" << e.what();
    }
    EXPECT_EQ(model.optimizer().steps(), place) << "two steps are an epoch";
    set_memory_limit(device, std::nullopt);
  }
}

TEST_P(MemoryLimit, WhereNothingFitsNoBatchIsPromised) {
  Model model = wide(512, 512, optim::Adam{});
  const data::Dataset data = examples(64, 512);
  release_cached_memory(device);
  set_memory_limit(device, memory_stats(device).reserved + 1000);  // the gradients need as much as the variables
  const std::string text = failure(model, data, 64);
  EXPECT_NE(text, "");
  EXPECT_EQ(advised(text), 0) << text;
  EXPECT_NE(text.find("raise the memory limit"), std::string::npos) << text;
}

TEST_P(MemoryLimit, TheReportNamesLayerAndOwners) {
  Model model = wide(16, 64, optim::Sgd{});
  const data::Dataset data = examples(4096, 16);
  release_cached_memory(device);
  set_memory_limit(device, 2 << 20);
  const std::string text = failure(model, data, 4096);
  for (const char* part : {"OutOfMemoryError[LS5001]", "model/", "data ", "variables ", "limit 2.00 MiB"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

}  // namespace
}  // namespace lockstep::nn
