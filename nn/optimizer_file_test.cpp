// Tests of optimizers in files: what a file holds, that loading it continues with the same bits, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "lockstep/lockstep.h"
#include "nn/test_files.h"
#include "runtime/expect_error.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

using optim::Adam;
using optim::Optimizer;
using optim::Sgd;

std::vector<Variable> two_variables() {
  std::vector<Variable> all;
  all.emplace_back(Tensor({1.0f, -2.0f, 0.5f}), "a");
  all.emplace_back(full({2, 2}, 0.25), "b");
  return all;
}

void step(Optimizer& optimizer, const std::vector<Variable>& variables, float size) {
  const std::vector<Tensor> gradients = {Tensor({size, 2 * size, -size}), full({2, 2}, size)};
  optimizer.apply(gradients, variables);
}

class OptimizerFile : public testing::Test {
 protected:
  // The file of an optimizer after one step.
  std::string saved(Optimizer optimizer) const {
    const std::vector<Variable> v = two_variables();
    step(optimizer, v, 1);
    save_optimizer(path, optimizer);
    return path;
  }

  TemporaryFolder folder;
  std::string path = folder.file("optimizer.safetensors");
  DeviceScope scope{Device("reference")};
};

using Texts = std::map<std::string, std::string>;

TEST_F(OptimizerFile, HoldsTheKindTheOptionsAndTheStepsAsTexts) {
  EXPECT_EQ(load_tensors(saved(Sgd{.learning_rate = 0.1})).metadata, (Texts{{"format", "lockstep"},
                                                                            {"optimizer", "sgd"},
                                                                            {"optimizer.learning_rate", "0.1"},
                                                                            {"optimizer.momentum", "0"},
                                                                            {"optimizer.nesterov", "false"},
                                                                            {"optimizer.steps", "1"}}));
  EXPECT_EQ(load_tensors(saved(Sgd{.momentum = 0.9, .nesterov = true})).metadata.at("optimizer.nesterov"), "true");
  EXPECT_EQ(load_tensors(saved(Adam{.learning_rate = 1e-3, .beta_1 = 0.75, .beta_2 = 0.5})).metadata,
            (Texts{{"format", "lockstep"},
                   {"optimizer", "adam"},
                   {"optimizer.learning_rate", "0.001"},
                   {"optimizer.beta_1", "0.75"},
                   {"optimizer.beta_2", "0.5"},
                   {"optimizer.epsilon", "1e-07"},
                   {"optimizer.weight_decay", "0"},
                   {"optimizer.steps", "1"},
                   {"optimizer.weights_1", "0.25"},
                   {"optimizer.weights_2", "0.5"}}));
}

// After one step with the gradient g, the moments are (1 - beta) g and (1 - beta) g², and the momentum is g.
TEST_F(OptimizerFile, HoldsTheSlotsByName) {
  const auto adam = load_tensors(saved(Adam{.beta_1 = 0.75, .beta_2 = 0.5})).tensors;
  EXPECT_EQ(adam.size(), 4u);
  EXPECT_EQ(adam.at("@optimizer/a/adam_m").to_vector<float>(), (std::vector{0.25f, 0.5f, -0.25f}));
  EXPECT_EQ(adam.at("@optimizer/a/adam_u").to_vector<float>(), (std::vector{0.5f, 2.0f, 0.5f}));
  EXPECT_EQ(adam.at("@optimizer/b/adam_m").shape(), (Shape{2, 2}));
  const auto momentum = load_tensors(saved(Sgd{.momentum = 0.9})).tensors;
  EXPECT_EQ(momentum.size(), 2u);
  EXPECT_EQ(momentum.at("@optimizer/a/momentum").to_vector<float>(), (std::vector{1.0f, 2.0f, -1.0f}));
  EXPECT_TRUE(load_tensors(saved(Sgd{})).tensors.empty());
  EXPECT_EQ(folder.file_count(), 1u) << "no temporary file stays";
}

TEST_F(OptimizerFile, NumbersAreExact) {
  const double third = 1.0 / 3, tiny = 1.2345678901234567e-30;
  Optimizer source = Adam{.learning_rate = third, .beta_1 = 0.9999999, .epsilon = tiny};
  const std::vector<Variable> v = two_variables();
  for (int i = 0; i < 7; ++i) step(source, v, 1);
  save_optimizer(path, source);
  Optimizer target = Adam{};
  load_optimizer(path, target, v);
  const optim::Snapshot given = target.snapshot(), wanted = source.snapshot();
  EXPECT_EQ(std::get<Adam>(given.options).learning_rate, third);
  EXPECT_EQ(std::get<Adam>(given.options).beta_1, 0.9999999);
  EXPECT_EQ(std::get<Adam>(given.options).epsilon, tiny);
  EXPECT_EQ(given.weights_1, wanted.weights_1);
  EXPECT_EQ(given.weights_2, wanted.weights_2);
  EXPECT_EQ(given.steps, 7);
}

class EachDevice : public testing::TestWithParam<std::string> {
 protected:
  TemporaryFolder folder;
  Device device{GetParam()};
  DeviceScope scope{device};
};

TEST_P(EachDevice, LoadingContinuesWithTheSameBits) {
  const std::string path = folder.file("optimizer.safetensors");
  for (int kind = 0; kind < 3; ++kind) {
    const auto make = [&]() -> Optimizer {
      if (kind == 0) return Sgd{.learning_rate = 0.1};
      if (kind == 1) return Sgd{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true};
      return Adam{.learning_rate = 0.1, .weight_decay = 0.01};
    };
    const std::vector<Variable> straight = two_variables();
    Optimizer undisturbed = make();
    for (int i = 1; i <= 6; ++i) step(undisturbed, straight, static_cast<float>(i));

    std::vector<Variable> v = two_variables();
    {
      Optimizer first = make();
      for (int i = 1; i <= 3; ++i) step(first, v, static_cast<float>(i));
      save_optimizer(path, first);
    }
    Optimizer second = make();
    load_optimizer(path, second, v);
    for (int i = 4; i <= 6; ++i) step(second, v, static_cast<float>(i));
    EXPECT_EQ(weights_sha256(v), weights_sha256(straight)) << kind;
    EXPECT_EQ(weights_sha256(second.state()), weights_sha256(undisturbed.state())) << kind;
    EXPECT_EQ(second.steps(), 6);
    for (const Variable& slot : second.state()) EXPECT_EQ(slot.device(), device) << slot.name();
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, EachDevice, testing::ValuesIn(available_devices()), &by_device);

// ------------------------------------------------------------------------------------------------------------ refusals

TEST_F(OptimizerFile, IsNotWrittenWhileTheFailureOfAStepIsUnknown) {
  for (const std::string& device : available_devices()) {
    const DeviceScope on{Device(device)};
    const Variable v(zeros({2}), "v");
    for (const bool adam : {false, true}) {
      Optimizer optimizer = adam ? Optimizer(Adam{}) : Optimizer(Sgd{});
      const Tensor indices = Tensor({std::int64_t{0}, std::int64_t{99}});
      EXPECT_THROW(
          {
            optimizer.apply(std::vector{gather(ones({4}), indices)}, std::vector{v});
            save_optimizer(path, optimizer);
          },
          Error)
          << device;
      EXPECT_THROW(load_tensors(path), IoError) << "no file was written";
      save_optimizer(path, optimizer);
      EXPECT_EQ(load_tensors(path).metadata.at("optimizer.steps"), "0") << device;
      std::filesystem::remove(path);
    }
  }
}

class RefusedFile : public OptimizerFile {
 protected:
  void SetUp() override {
    step(target, v, 1);
    before = weights_sha256(target.state());
  }
  void refuse(ErrorId id, const std::string& part, const std::vector<Variable>& variables) {
    expect_io_error(id, path, part, [&] { load_optimizer(path, target, variables); });
    expect_error_saying([&] { load_optimizer(path, target, variables); }, id, {"load_optimizer: "},
                        "optimizer_file_test.cpp:", true);
    EXPECT_EQ(weights_sha256(target.state()), before) << part;
    EXPECT_EQ(target.steps(), 1) << part;
    EXPECT_EQ(target.learning_rate(), 0.5) << part;
  }
  void refuse(ErrorId id, const std::string& part) { refuse(id, part, v); }
  // Changes the file of another Adam, which took two steps.
  void rewrite(const std::function<void(TensorFile&)>& change) {
    Optimizer other = Adam{.learning_rate = 0.125};
    const std::vector<Variable> w = two_variables();
    step(other, w, 1);
    step(other, w, 2);
    save_optimizer(path, other);
    TensorFile file = load_tensors(path);
    change(file);
    save_tensors(path, file.tensors, file.metadata);
  }

  const std::vector<Variable> v = two_variables();
  Optimizer target = Adam{.learning_rate = 0.5};
  std::string before;
};

TEST_F(RefusedFile, OfAnotherKind) {
  saved(Sgd{.momentum = 0.9});
  refuse(ErrorId::does_not_match, "the snapshot is of Sgd, the optimizer is Adam");
  rewrite([](TensorFile& f) { f.metadata["optimizer"] = "lion"; });
  refuse(ErrorId::does_not_match, "it has the state of an optimizer \"lion\", which is not known here");
}

TEST_F(RefusedFile, WithoutAnOptimizer) {
  save_weights(path, v);
  refuse(ErrorId::does_not_match, "it has no state of an optimizer");
}

TEST_F(RefusedFile, WithOtherTensors) {
  rewrite([](TensorFile& f) { f.tensors.erase("@optimizer/b/adam_u"); });
  refuse(ErrorId::does_not_match, "there is no tensor \"b/adam_u\"");
  rewrite([](TensorFile& f) { f.tensors.emplace("@optimizer/c/adam_m", ones({2})); });
  refuse(ErrorId::does_not_match, "tensor \"c/adam_m\" belongs to none of the variables");
  rewrite([](TensorFile& f) { f.tensors.at("@optimizer/a/adam_m") = ones({4}); });
  refuse(ErrorId::does_not_match, "tensor \"a/adam_m\" is f32 (4), the variable needs f32 (3)");
  rewrite([](TensorFile& f) { f.tensors.at("@optimizer/a/adam_m") = ones({3}, DType::f64); });
  refuse(ErrorId::does_not_match, "tensor \"a/adam_m\" is f64 (3), the variable needs f32 (3)");
  rewrite([](TensorFile&) {});
  refuse(ErrorId::does_not_match, "there is no tensor \"x/adam_m\"", {v[0], v[1], Variable(ones({3}), "x")});
  load_optimizer(path, target, v);
  EXPECT_EQ(target.steps(), 2) << "without a change the file is good";
  EXPECT_EQ(target.learning_rate(), 0.125);
}

TEST_F(RefusedFile, WithDamagedNumbers) {
  for (const char* key : {"optimizer.steps", "optimizer.learning_rate", "optimizer.weights_2"}) {
    rewrite([&](TensorFile& f) { f.metadata.erase(key); });
    refuse(ErrorId::corrupt, std::string("its metadata has no \"") + key + "\"");
  }
  const auto with = [&](const std::string& key, const std::string& text, const std::string& part) {
    rewrite([&](TensorFile& f) { f.metadata[key] = text; });
    refuse(ErrorId::corrupt, part);
  };
  with("optimizer.steps", "2.5", "its metadata has the \"optimizer.steps\" \"2.5\"");
  with("optimizer.steps", "", "its metadata has the \"optimizer.steps\" \"\"");
  with("optimizer.steps", "99999999999999999999", "\"optimizer.steps\"");
  with("optimizer.steps", "-3", "the optimizer's steps is -3");
  with("optimizer.beta_1", "1", "the optimizer's beta_1 is 1");
  with("optimizer.learning_rate", "0.1 ", "\"0.1 \"");
  with("optimizer.learning_rate", "nan", "the optimizer's learning_rate is nan");
  with("optimizer.weights_1", "2", "the optimizer's weights_1 is 2");
  saved(Sgd{.momentum = 0.9});
  TensorFile file = load_tensors(path);
  file.metadata["optimizer.nesterov"] = "yes";
  save_tensors(path, file.tensors, file.metadata);
  Optimizer sgd = Sgd{};
  expect_io_error(ErrorId::corrupt, path, "its metadata has the \"optimizer.nesterov\" \"yes\"",
                  [&] { load_optimizer(path, sgd, v); });
}

TEST_F(RefusedFile, ThatIsMissingOrOfAnotherFormat) {
  expect_io_error(ErrorId::file_not_found, path, "No such file", [&] { load_optimizer(path, target, v); });
  folder.write("optimizer.safetensors", "pickled");
  expect_io_error(ErrorId::truncated, path, "header", [&] { load_optimizer(path, target, v); });
  EXPECT_EQ(target.steps(), 1);
  const std::string nowhere = folder.file("none/optimizer.safetensors");
  expect_io_error(ErrorId::cannot_write, nowhere, "No such file", [&] { save_optimizer(nowhere, target); });
}

}  // namespace
}  // namespace lockstep
