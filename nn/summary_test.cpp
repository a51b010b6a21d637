// What a model prints: its summary, and the progress of training.
#include <gtest/gtest.h>

#include <regex>

#include "lockstep/lockstep.h"

namespace lockstep::nn {
namespace {

class PrintTest : public testing::Test {
 protected:
  Device device{"reference"};
  DeviceScope scope{device};
};

void expect_row(const std::string& text, const std::string& row) {
  std::string pattern;
  for (char c : row)
    pattern += c == ' '                                      ? " +"
               : std::ispunct(static_cast<unsigned char>(c)) ? std::string("\\") + c
                                                             : std::string(1, c);
  EXPECT_TRUE(std::regex_search(text, std::regex(pattern + "\n"))) << row << " in\n" << text;
}

TEST_F(PrintTest, SummaryCountsParametersAndShapes) {
  Model model(Sequential(Conv2d{.filters = 8, .kernel = 3}, Relu{}, MaxPool2d{}, Flatten{}, Dense{.units = 10}));
  model.build({28, 28, 3});
  const std::string text = model.summary(64);
  expect_row(text, "layer output parameters bytes/example");
  expect_row(text, "conv2d (batch, 26, 26, 8) 224 21,632");
  expect_row(text, "relu (batch, 26, 26, 8) 0 21,632");
  expect_row(text, "flatten (batch, 1352) 0 0");
  expect_row(text, "dense (batch, 10) 13,530 80");  // the product, and the sum with the bias
  EXPECT_NE(text.find("model on reference:0, input (batch, 28, 28, 3) f32"), std::string::npos) << text;
  EXPECT_NE(text.find("parameters  13,754 (53.73 KiB), trainable 13,754"), std::string::npos) << text;
  EXPECT_NE(text.find("at batch 64"), std::string::npos) << text;
}

TEST_F(PrintTest, SummaryNamesLayersAndCountsWhatIsNotTrainable) {
  class Scaled : public Layer {
   public:
    Scaled() : Layer("scaled") {}
    void build(const Shape&) override { scale_.emplace(add_variable("scale", ones({1000}), false)); }
    Tensor call(const Tensor& x, const Call&) override { return x * sum(*scale_); }

   private:
    std::optional<Variable> scale_;
  };
  Model model(Sequential(Dense{.units = 2, .name = "head"}, Scaled()));
  model.build({3});
  const std::string text = model.summary();
  expect_row(text, "head (dense) (batch, 2) 8 16");
  EXPECT_NE(text.find("parameters  1,008 (3.94 KiB), trainable 8"), std::string::npos) << text;
}

TEST_F(PrintTest, SummaryComputesNothing) {
  Model model(Sequential(Dense{.units = 1000}));
  model.build({1000});
  const MemoryStats before = memory_stats(device);
  reset_peak_memory(device);
  model.summary(1 << 20);
  EXPECT_EQ(memory_stats(device).peak_live, before.live);
}

TEST_F(PrintTest, SummarysEstimateIsWithinAFactorOfTwo) {
  Model model(Sequential(Dense{.units = 256}, Relu{}, Dense{.units = 256}, Relu{}, Dense{.units = 10}));
  model.build({256});
  model.compile({.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{}});
  std::smatch found;
  const std::string text = model.summary(512);
  ASSERT_TRUE(std::regex_search(text, found, std::regex("training    about ([0-9.]+ [KMG]?i?B)"))) << text;
  const auto predicted = static_cast<double>(parse_bytes(found[1].str()));
  release_cached_memory(device);
  const data::Batch batch{ones({512, 256}), cast(zeros({512}), DType::i32)};
  reset_peak_memory(device);
  model.train_step(batch);
  const auto peak = static_cast<double>(memory_stats(device).peak_live);
  EXPECT_GT(predicted, 0.5 * peak);
  EXPECT_LT(predicted, 2 * peak);
}

// Standard error is no terminal in tests.
class ProgressTest : public PrintTest {
 protected:
  std::string printed(Verbose verbose) {
    Model model(Sequential(Dense{.units = 2}));
    model.build({3});
    model.compile(
        {.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}, .metrics = {metrics::Accuracy{}}});
    const data::Dataset data = data::Dataset::from_tensors(ones({64, 3}), cast(zeros({64}), DType::i32));
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    model.fit(data, {.epochs = 2, .batch_size = 16, .validation = data, .verbose = verbose});
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "") << "progress is not what a program prints";
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(ProgressTest, WithoutATerminalABarIsOneLinePerEpoch) {
  const std::string text = printed(Verbose::bar);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos) << "nothing is drawn over";
  for (const char* part : {"Epoch 1/2", "Epoch 2/2", "4/4", "ms/step", "img/s", "loss ", "accuracy ", "val_loss ",
                           "val_accuracy 1.0000", "±"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
}

TEST_F(ProgressTest, ShowsTheMemoryLimit) {
  set_memory_limit(device, 64 << 20);
  const std::string text = printed(Verbose::line);
  set_memory_limit(device, std::nullopt);
  EXPECT_NE(text.find("/64.00 MiB"), std::string::npos) << text;
}

TEST_F(ProgressTest, SilentMeansSilent) { EXPECT_EQ(printed(Verbose::silent), ""); }

}  // namespace
}  // namespace lockstep::nn
