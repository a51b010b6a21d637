// Checks that in lockstep mode the same training gives the same weights and losses, bit for bit, on every device that
// offers the mode and with any number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "conformance/lockstep_vectors.h"
#include "lockstep/lockstep.h"
#include "lockstep/parallel.h"
#include "runtime/canonical_nan.h"

namespace lockstep::conformance {
namespace {

using namespace nn;

constexpr int steps = 20;

// Some sums in these models are longer than one chunk: 432 inputs of a dense layer, 288 taps of a convolution, 8 · 10 ·
// 10 pixels.
Model make(const std::string& kind) {
  if (kind == "mlp") {
    return Model(Sequential(Flatten{}, Dense{.units = 300}, Gelu{}, Dropout{.rate = 0.25}, Dense{.units = 300}, Tanh{},
                            Dense{.units = 10}));
  }
  return Model(Sequential(Conv2d{.filters = 32, .kernel = 3}, Relu{},
                          Conv2d{.filters = 16, .kernel = 3, .strides = 2, .padding = Padding::same()},
                          Conv2d{.filters = 16, .kernel = 3, .padding = Padding::same(), .groups = 16}, Silu{},
                          AvgPool2d{.window = 2, .strides = 1}, MaxPool2d{.window = 3, .strides = 1}, Flatten{},
                          Dense{.units = 32}, Relu{}, Dense{.units = 10}));
}

optim::Optimizer make_optimizer(const std::string& kind) {
  if (kind == "adam") return optim::Adam{};
  return optim::Sgd{.learning_rate = 0.01, .momentum = 0.9, .nesterov = true};
}

struct Trained {
  std::vector<std::uint32_t> losses;  // bits
  std::string sha256;
  bool operator==(const Trained&) const = default;
};

Trained train(const std::string& model_kind, const std::string& optimizer_kind, const Device& device,
              MathMode math_mode = MathMode::lockstep) {
  const MathModeScope mode(math_mode);
  const DeviceScope scope(device);
  set_seed(7);
  const std::int64_t examples = 80, batch_size = 8;
  // Noise whose brightness grows with the label.
  std::vector<std::int32_t> classes;
  for (std::int32_t i = 0; i < examples; ++i) classes.push_back(i * 7 % 10);
  const Tensor labels(classes, {examples});
  const Tensor brightness = reshape(cast(labels, DType::f32), {examples, 1, 1, 1}) / 3.0 - 1.5;
  const Tensor images = random_normal({examples, 12, 12, 3}) + brightness;
  const data::Dataset data = data::Dataset::from_tensors(images, labels).shuffle({7, 1});
  Model model = make(model_kind);
  model.build({12, 12, 3}, device);
  model.compile(
      {.optimizer = make_optimizer(optimizer_kind), .loss = losses::SparseCategoricalCrossentropy{}, .metrics = {}});
  Trained t;
  for (std::int64_t pass_number = 0; t.losses.size() < steps; ++pass_number) {
    data::Dataset::Pass pass = data.batches(batch_size, device, pass_number);
    while (const std::optional<data::Batch> batch = pass.next()) {
      t.losses.push_back(std::bit_cast<std::uint32_t>(model.train_step(*batch).item<float>()));
    }
  }
  t.sha256 = model.weights_sha256();
  return t;
}

void expect_same(const Trained& given, const Trained& expected, const std::string& what) {
  ASSERT_EQ(given.losses.size(), static_cast<std::size_t>(steps)) << what;
  const auto differs = std::mismatch(given.losses.begin(), given.losses.end(), expected.losses.begin()).first;
  EXPECT_TRUE(differs == given.losses.end())
      << what << ": the losses part in step " << differs - given.losses.begin() + 1;
  EXPECT_EQ(given.sha256, expected.sha256) << what;
}

class LockstepTraining : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(LockstepTraining, GivesTheSameBitsOnEveryDevice) {
  const auto [model, optimizer] = GetParam();
  const Trained expected = train(model, optimizer, Device("reference:0"));
  // The model learned, and the mode matters: strict mode adds in another order.
  EXPECT_LT(std::bit_cast<float>(expected.losses.back()), std::bit_cast<float>(expected.losses.front()));
  EXPECT_NE(train(model, optimizer, Device("reference:0"), MathMode::strict).sha256, expected.sha256);
  std::printf("weights_sha256 of %s with %s: %s\n", model, optimizer, expected.sha256.c_str());
  if (std::getenv("LOCKSTEP_CPU_ISA")) {
    EXPECT_GT(lockstep_devices().size(), 1u) << "the CPU driver is not there";
  }
  const unsigned before = thread_count();
  for (const std::string& device : lockstep_devices()) {
    for (unsigned threads : {1u, 2u, 3u}) {
      if (device == "reference:0" && threads != 2) continue;  // it does not use worker threads
      set_thread_count(threads);
      expect_same(train(model, optimizer, Device(device)), expected, device + ", " + std::to_string(threads));
    }
  }
  set_thread_count(before);
}

// The weights after one step of gradient descent with the loss sum(|w| * c), as bits; every NaN has the same bits.
std::vector<std::uint32_t> after_a_step_through_abs(const Device& device) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const MathModeScope mode(MathMode::lockstep);
  const DeviceScope scope(device);
  const Variable w(Tensor({0.0f, -0.0f, nan, 1.5f, -2.0f, -0.0f, 0.0f}), "w");
  const Tensor c({3.0f, 3.0f, 3.0f, 0.5f, 0.25f, -3.0f, -3.0f});
  optim::Optimizer sgd = optim::Sgd{.learning_rate = 0.5};
  GradientTape tape;
  const Tensor gradient = tape.gradient(sum(abs(w) * c), w);
  sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
  std::vector<std::byte> bytes = w.read().to_bytes();
  make_nans_canonical(f32, bytes);
  std::vector<std::uint32_t> bits(bytes.size() / sizeof(std::uint32_t));
  std::memcpy(bits.data(), bytes.data(), bytes.size());
  return bits;
}

// The slope of |w| is +0 at both zeros, whatever the sign of c, NaN at NaN, else the sign of w. So each zero keeps its
// sign, since -0 - 0 is -0, and 1.5 and -2 go half of their slopes 0.5 and -0.25 down.
TEST(LockstepStep, ThroughAbsAtItsKinkGivesTheSameBitsOnEveryDevice) {
  const std::vector<std::uint32_t> expected = {
      0x00000000, 0x80000000, 0x7fc00000, std::bit_cast<std::uint32_t>(1.25f), std::bit_cast<std::uint32_t>(-1.875f),
      0x80000000, 0x00000000};
  ASSERT_FALSE(lockstep_devices().empty());
  for (const std::string& name : lockstep_devices()) {
    EXPECT_EQ(after_a_step_through_abs(Device(name)), expected) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, LockstepTraining,
                         testing::Combine(testing::Values("mlp", "cnn"), testing::Values("adam", "momentum")),
                         [](const auto& of) {
                           return std::string(std::get<0>(of.param)) + "_" + std::get<1>(of.param);
                         });

}  // namespace
}  // namespace lockstep::conformance
