// Training against a memory limit: the error names a batch that fits, the model is as before, and training goes on.
#include <gtest/gtest.h>

#include <regex>

#include "lockstep/lockstep.h"

namespace lockstep::nn {
namespace {

class MemoryLimit : public testing::Test {
 protected:
  void TearDown() override { set_memory_limit(device, std::nullopt); }

  static data::Dataset examples(std::int64_t n, std::int64_t features) {
    return data::Dataset::from_tensors(random_normal({n, features}, 0, 1, {.key = RandomKey{5, 5}}),
                                       cast(zeros({n}), DType::i32));
  }
  static Fit one_step(std::int64_t batch) { return {.steps = 1, .batch_size = batch, .verbose = Verbose::silent}; }

  // The message of fit() at this batch size; "" where it fits.
  static std::string failure(Model& model, const data::Dataset& data, std::int64_t batch, ErrorId* id = nullptr) {
    try {
      model.fit(data, one_step(batch));
      return "";
    } catch (const OutOfMemoryError& e) {
      if (id) *id = e.id();
      return e.what();
    }
  }
  static std::int64_t advised(const std::string& text) {
    std::smatch found;
    return std::regex_search(text, found, std::regex("batch ([0-9]+) fits \\(measured peak "))
               ? std::stoll(found[1].str())
               : 0;
  }

  Device device{"reference"};
  DeviceScope scope{device};
};

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

class AdviceFits : public MemoryLimit, public testing::WithParamInterface<Situation> {};

TEST_P(AdviceFits, AndTheModelIsAsBefore) {
  const Situation& s = GetParam();
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
                         testing::Values(Situation{"Activations", 16, 64, false, 2 << 20},
                                         Situation{"Weights", 64, 256, true, 5 << 20},
                                         Situation{"Data", 1024, 8, false, 8 << 20}),
                         [](const testing::TestParamInfo<Situation>& test) { return test.param.name; });

TEST_F(MemoryLimit, AStepAfterAnErrorGivesTheBitsOfOneWithoutIt) {
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

TEST_F(MemoryLimit, WhereNothingFitsNoBatchIsPromised) {
  Model model = wide(512, 512, optim::Adam{});
  const data::Dataset data = examples(64, 512);
  release_cached_memory(device);
  set_memory_limit(device, memory_stats(device).reserved + 1000);  // gradients alone take as much as the variables
  const std::string text = failure(model, data, 64);
  EXPECT_NE(text, "");
  EXPECT_EQ(advised(text), 0) << text;
  EXPECT_NE(text.find("raise the memory limit"), std::string::npos) << text;
}

TEST_F(MemoryLimit, TheReportNamesLayerAndOwners) {
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
