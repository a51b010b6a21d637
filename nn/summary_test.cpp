// Tests of printed text: the summary of a model, and the progress of training.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <regex>
#include <thread>
#include <utility>

#include "lockstep/lockstep.h"
#include "nn/progress.h"
#include "runtime/expect_error.h"

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
  expect_row(text, "dense (batch, 10) 13,530 80");  // the product, and the sum of product and bias
  EXPECT_NE(text.find("model on reference:0, input (batch, 28, 28, 3) f32"), std::string::npos) << text;
  EXPECT_NE(text.find("parameters  13,754 (53.73 KiB), trainable 13,754"), std::string::npos) << text;
  EXPECT_NE(text.find("at batch 64"), std::string::npos) << text;
}

TEST_F(PrintTest, SummaryNamesLayersAndCountsWhatIsNotTrainable) {
  class Scaled : public Layer {
   public:
    Scaled() : Layer("scaled") {}
    void build(const Shape&) override { scale_.emplace(add_variable("scale", ones({1000}), false)); }
    Tensor call(const Tensor& x, const Call&) const override { return x * sum(*scale_); }

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

TEST_F(PrintTest, SummaryAddsUpWhatTrainingTakes) {
  Model model(Sequential(Dense{.units = 10}));
  model.build({4});
  // 50 weights take 200 bytes. Product and sum of one example take 80 bytes, plus a quarter.
  EXPECT_NE(model.summary().find("training    about 3.91 KiB at batch 32:"), std::string::npos)
      << "200 for weights, gradients and each of two slots, 3200 for activations: " << model.summary();
  model.compile({.optimizer = optim::Sgd{}, .loss = losses::MeanSquaredError{}});
  EXPECT_NE(model.summary(16).find("training    about 1.95 KiB at batch 16:"), std::string::npos) << model.summary(16);
  model.compile({.optimizer = optim::Sgd{.momentum = 0.9}, .loss = losses::MeanSquaredError{}});
  EXPECT_NE(model.summary(16).find("training    about 2.15 KiB at batch 16:"), std::string::npos) << model.summary(16);
}

TEST_F(PrintTest, SummaryCountsSlotsOfHalfWidthWeightsAsF32) {
  Model model(Sequential(Dense{.units = 10}));
  model.build({4}, device, DType::f16);
  // 50 weights take 100 bytes. Product and sum of one example take 40 bytes, plus a quarter.
  EXPECT_NE(model.summary().find("training    about 2.15 KiB at batch 32:"), std::string::npos)
      << "100 for weights and for gradients, 200 for each of two slots, 1600 for activations: " << model.summary();
}

TEST_F(PrintTest, SummaryIsATable) {
  Model model(Sequential(Dense{.units = 10, .name = "head"}, Relu{}));
  model.build({4});
  EXPECT_EQ(model.summary(),
            "model on reference:0, input (batch, 4) f32\n\n"
            " layer          output        parameters   bytes/example\n"
            " head (dense)   (batch, 10)           50              80\n"
            " relu           (batch, 10)            0              40\n"
            "\n parameters  50 (200 B), trainable 50"
            "\n training    about 5.47 KiB at batch 32: weights, gradients, optimizer and activations\n");
}

TEST_F(PrintTest, SummaryTakesBatchesOfOneOrMore) {
  Model model(Dense{.units = 1, .use_bias = false});
  model.build({1});
  EXPECT_NE(model.summary(1).find(" at batch 1:"), std::string::npos) << model.summary(1);
  EXPECT_EQ(
      error_text([&] { model.summary(0); }),
      "ShapeError[LS2007] summary: batch is 0\n  where  called at summary_test.cpp:N\n  fix    batches are 1 or more");
}

TEST_F(PrintTest, SummaryOfALayerThatIsNoSequence) {
  Model model(Dense{.units = 999, .use_bias = false});
  model.build({1});
  const std::string text = model.summary();
  expect_row(text, "model (dense) (batch, 999) 999 3,996");
  Model million(Dense{.units = 1000, .use_bias = false});
  million.build({1000});
  expect_row(million.summary(), "model (dense) (batch, 1000) 1,000,000 4,000");
}

// The progress line during and after an epoch.
class ProgressLine : public PrintTest {
 protected:
  static std::string printed(const std::function<void()>& act) {
    testing::internal::CaptureStderr();
    act();
    return testing::internal::GetCapturedStderr();
  }
  static void expect_match(const std::string& text, const std::string& pattern) {
    EXPECT_TRUE(std::regex_search(text, std::regex(pattern))) << pattern << " in " << text;
  }
};

TEST_F(ProgressLine, SaysHowFarItIs) {
  Progress progress(Verbose::line, device, 2, 3, 4);
  progress.step(10);
  progress.step(20);
  const std::string half = printed([&] { progress.draw({{"loss", 0.123456}}); });
  expect_match(half, "^\rEpoch 2/3  (━){10}(─){10}  2/4  ETA [0-9]+s  [0-9.]+ ms/step  [0-9.]+k? img/s  ");
  expect_match(half, "  loss 0\\.1235$");
  progress.step(10);
  progress.step(10);
  const std::string whole = printed([&] { progress.finish({{"loss", 0.5, 0.0123}, {"accuracy", 1.0}}); });
  expect_match(whole, "^Epoch 2/3  (━){20}  4/4  0s  ");
  expect_match(whole, "  loss 0\\.5000 ±0\\.012  accuracy 1\\.0000\n$");
}

TEST_F(ProgressLine, SmallNumbersKeepTheirDigits) {
  Progress progress(Verbose::line, device, 1, 1, 1);
  progress.step(1);
  const std::string text = printed([&] {
    progress.finish({{"a", 0.00099}, {"b", 0.001}, {"c", 0}, {"d", -0.0005}, {"e", 1234.56789}, {"f", 0.5, 0}});
  });
  expect_match(text, "  a 9\\.900e-04  b 0\\.0010  c 0\\.0000  d -5\\.000e-04  e 1234\\.5679  f 0\\.5000 ±0\n");
}

TEST_F(ProgressLine, LongTimesAndHighRatesHaveLargerUnits) {
  constexpr std::int64_t images = 1'000'000'000;
  for (const std::int64_t left : {30'000, 100'000'000}) {
    Progress progress(Verbose::line, device, 1, 1, left + 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    progress.step(images);
    const std::string text = printed([&] { progress.draw({}); });
    std::smatch found;
    const std::regex form("ETA ([0-9.]+)([mh])  ([0-9]+(\\.[0-9])?) ms/step  ([0-9.]+)k img/s");
    ASSERT_TRUE(std::regex_search(text, found, form)) << text;
    const double per_step = std::stod(found[3].str());  // 20 ms, or more if the machine is busy
    EXPECT_TRUE(found[4].matched ? per_step <= 100 : per_step >= 100) << text;
    const double minutes = per_step * static_cast<double>(left) / 60'000;
    const bool in_hours = found[2].str() == "h";
    EXPECT_TRUE(in_hours || left == 30'000) << text;
    EXPECT_NEAR(std::stod(found[1].str()) * (in_hours ? 60 : 1) / minutes, 1, 0.1) << text;
    EXPECT_NEAR(std::stod(found[5].str()) * per_step / static_cast<double>(images), 1, 0.01) << text;
  }
}

// The first step prepares kernels, and says nothing about the others.
TEST_F(ProgressLine, TheFirstStepDoesNotCountForTheirLength) {
  double per_step = 1e9;
  for (int i = 0; i < 5 && per_step >= 75; ++i) {  // more than once only if the machine is busy
    Progress progress(Verbose::line, device, 1, 1, 4);
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    progress.step(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    progress.step(1);
    const std::string text = printed([&] { progress.draw({}); });
    std::smatch found;
    ASSERT_TRUE(std::regex_search(text, found, std::regex("  ([0-9.]+) ms/step"))) << text;
    per_step = std::stod(found[1].str());
    EXPECT_GE(per_step, 40) << "the second step";
  }
  EXPECT_LT(per_step, 75) << "with the first step, it would be half of 190 ms or more";
}

TEST_F(ProgressLine, AShorterLineCoversALongerOne) {
  Progress progress(Verbose::line, device, 1, 1, 2);
  progress.step(1);
  const std::string text = printed([&] {
    progress.draw({{"accuracy", 0.5}, {"loss", 0.5}});
    progress.draw({});
  });
  const std::string second = text.substr(text.rfind('\r') + 1);
  EXPECT_GE(second.size() - second.find_last_not_of(' ') - 1, std::string("  accuracy 0.5000  loss 0.5000").size() - 4)
      << text;
}

// Opens the master of a pseudo-terminal. Returns -1 if that fails, as in a container without /dev/pts.
int open_master() {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || (grantpt(master) == 0 && unlockpt(master) == 0)) return master;
  close(master);
  return -1;
}

// A pseudo-terminal that stands for stderr.
class Terminal {
 public:
  static bool is_available() {
    const int master = open_master();
    if (master >= 0) close(master);
    return master >= 0;
  }

  Terminal() : master_(open_master()) {
    EXPECT_GE(master_, 0);
    const int slave = open(ptsname(master_), O_RDWR | O_NOCTTY);
    std::fflush(stderr);
    before_ = dup(STDERR_FILENO);
    dup2(slave, STDERR_FILENO);
    close(slave);
    fcntl(master_, F_SETFL, O_NONBLOCK);
  }
  ~Terminal() {
    restore();
    close(master_);
  }
  std::string text() {
    restore();
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = read(master_, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }

 private:
  void restore() {
    if (before_ < 0) return;
    std::fflush(stderr);
    dup2(before_, STDERR_FILENO);
    close(std::exchange(before_, -1));
  }
  int master_, before_ = -1;
};

TEST_F(ProgressLine, OnATerminalABarIsRedrawnInPlace) {
  if (!Terminal::is_available()) GTEST_SKIP() << "this machine cannot open a pseudo-terminal";
  const auto shown = [&](Verbose verbose) {
    Model model(Sequential(Dense{.units = 2}));
    model.build({3});
    model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
    const data::Dataset data = data::Dataset::from_tensors(ones({4, 3}), cast(zeros({4}), DType::i32));
    Terminal terminal;
    model.fit(data, {.batch_size = 1, .verbose = verbose, .on_step = [](const StepInfo&) {
                       std::this_thread::sleep_for(std::chrono::milliseconds(60));
                     }});
    return terminal.text();
  };
  const std::string bar = shown(Verbose::bar);
  EXPECT_GE(std::count(bar.begin(), bar.end(), '\r'), 4) << bar;
  EXPECT_EQ(std::count(bar.begin(), bar.end(), '\n'), 1) << bar;
  expect_match(bar, "3/4  ETA ");
  expect_match(bar, "4/4  0s ");
  const std::string line = shown(Verbose::line);
  EXPECT_EQ(line.find("ETA"), std::string::npos) << line;
  std::smatch found;
  ASSERT_TRUE(std::regex_search(line, found, std::regex("([0-9.]+) ms/step  ([0-9.]+) img/s"))) << line;
  const double images_per_step = std::stod(found[1].str()) / 1000 * std::stod(found[2].str());
  EXPECT_NEAR(images_per_step, 1, 0.1) << "batches of one, and numbers of two digits or more: " << line;
  EXPECT_EQ(shown(Verbose::silent), "");
}

// Tests of the progress lines if standard error is not a terminal.
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

TEST_F(ProgressTest, WithoutATerminalItIsNeverTimeToRedraw) {
  for (Verbose verbose : {Verbose::bar, Verbose::line, Verbose::silent}) {
    const Progress progress(verbose, device, 1, 1, 4);
    EXPECT_FALSE(progress.due());
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_FALSE(progress.due());
  }
}

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
