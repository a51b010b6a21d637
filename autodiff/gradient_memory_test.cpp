// What a tape keeps in memory for the reverse pass, and when the reverse pass frees it.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "lockstep/lockstep.h"
#include "runtime/test_devices.h"

namespace lockstep {
namespace {

class ReversePassMemory : public testing::TestWithParam<std::string> {
 protected:
  static std::uint64_t live() { return memory_stats(default_device()).live; }

  DeviceScope scope{Device(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Devices, ReversePassMemory, testing::ValuesIn(available_devices()), &by_device);

constexpr std::int64_t large = 1 << 18;  // a MiB of f32

TEST_P(ReversePassMemory, KeepsWhatTheWatchedOperandsNeedAndNoMore) {
  const Tensor x = ones({large});
  const auto held_by = [&](const std::function<Tensor()>& f) {
    const std::uint64_t before = live();
    GradientTape tape;
    tape.watch(x);
    f();
    const std::uint64_t held = live() - before;
    return static_cast<double>(held) / (1 << 20);
  };
  EXPECT_NEAR(held_by([&] { return x * ones({large}); }), 1, 0.1) << "the other factor";
  EXPECT_NEAR(held_by([&] { return ones({large}) + x; }), 0, 0.1);
  EXPECT_NEAR(held_by([&] { return exp(x); }), 1, 0.1) << "its output";
  EXPECT_NEAR(held_by([&] { return square(x + 1.0f); }), 1, 0.1) << "its input";
  EXPECT_NEAR(held_by([&] { return neg(x + 1.0f); }), 0, 0.1);
}

TEST_P(ReversePassMemory, ValuesGoAsTheirRecordsAreDone) {
  const Tensor x = full({large}, 0.5f);
  GradientTape tape;
  tape.watch(x);
  Tensor y = x;
  for (int i = 0; i < 16; ++i) y = relu(y);  // each op saves its output
  const Tensor loss = sum(y);
  y = x;
  const std::uint64_t before = live();
  reset_peak_memory(default_device());
  const Tensor gradient = tape.gradient(loss, x);
  EXPECT_LE(memory_stats(default_device()).peak_live, before + (3 << 20));
  EXPECT_LE(live(), before - (14 << 20)) << "the tape is there, but empty";
}

// The values saved by later ops are released before the gradients of earlier ops are allocated.
TEST_P(ReversePassMemory, ValuesGoBeforeTheNextGradientsCome) {
  const Tensor x = full({large}, 0.5f);
  GradientTape tape;
  tape.watch(x);
  std::vector<Source> sources = {x};
  for (int i = 0; i < 8; ++i) sources.emplace_back(neg(*sources.back().tensor()));
  Tensor y = *sources.back().tensor();
  for (int i = 0; i < 8; ++i) y = relu(y);
  const Tensor loss = sum(y);
  y = x;
  const std::uint64_t before = live();
  reset_peak_memory(default_device());
  const std::vector<Tensor> gradients = tape.gradient(loss, sources);
  EXPECT_EQ(gradients.size(), 9u);
  EXPECT_LE(memory_stats(default_device()).peak_live, before + (4 << 20));
}

// The tape takes memory for its records in chunks of 64 KiB. What it notes of this call is larger.
TEST_P(ReversePassMemory, ACallOfThousandsOfOperandsIsRecorded) {
  constexpr std::size_t count = 4500;
  const Tensor x({2.0f, 3.0f});
  GradientTape tape;
  tape.watch(x);
  const Tensor y = concat(std::vector<Tensor>(count, x));
  const Tensor after = x * x;  // what is recorded next has memory of its own
  EXPECT_EQ(tape.gradient(sum(y) + sum(after), x).to_vector<float>(), (std::vector<float>{4500 + 2 * 2, 4500 + 2 * 3}));
}

TEST_P(ReversePassMemory, ATapeThatGoesLetsGo) {
  const Tensor x = ones({large});
  const std::uint64_t before = live();
  {
    GradientTape tape({.persistent = true});
    tape.watch(x);
    const Tensor y = sum(exp(x));
    tape.gradient(y, x);
    EXPECT_GE(live(), before + (1 << 20)) << "a persistent tape keeps";
    EXPECT_EQ(tape.gradient(y, x).size(), large);
  }
  EXPECT_EQ(live(), before);
}

}  // namespace
}  // namespace lockstep
