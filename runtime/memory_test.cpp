// Tests of memory limits, statistics, poisoning, and the out-of-memory report.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "lockstep/lockstep.h"
#include "lockstep/testing.h"
#include "runtime/device_state.h"

namespace lockstep {
namespace {

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    release_cached_memory(device);
    scope.emplace(device);
  }
  void TearDown() override {
    set_memory_limit(device, std::nullopt);
    set_memory_poison(device, false);
  }
  Device device{"reference"};
  std::optional<DeviceScope> scope;
};

TEST_F(MemoryTest, StatisticsByOwner) {
  const MemoryStats before = memory_stats(device);
  const Tensor activation = zeros({1024});
  const Variable weight(zeros({2048}), "w");
  const MemoryStats during = memory_stats(device);
  const auto grown = [&](MemoryOwner owner) {
    const auto i = static_cast<std::size_t>(owner);
    return during.live_by_owner[i] - before.live_by_owner[i];
  };
  EXPECT_EQ(grown(MemoryOwner::activations), 4096u);
  EXPECT_EQ(grown(MemoryOwner::variables), 8192u);
  EXPECT_EQ(during.live, before.live + 4096 + 8192);
}

TEST_F(MemoryTest, TheLimitIsExactToTheByte) {
  release_cached_memory(device);
  const std::uint64_t held = memory_stats(device).reserved;
  constexpr std::uint64_t big = 1 << 20;
  set_memory_limit(device, held + big);
  EXPECT_NO_THROW(zeros({big / 4}));
  release_cached_memory(device);
  set_memory_limit(device, held + big - 1);
  EXPECT_THROW(zeros({big / 4}), OutOfMemoryError);
  set_memory_limit(device, held + big);
  EXPECT_NO_THROW(zeros({big / 4})) << "the device recovers when the limit is raised";
}

TEST_F(MemoryTest, TheReportNamesOpOwnersHoldersAndLine) {
  set_memory_limit(device, memory_stats(device).reserved + (4 << 20));
  const Variable weight(zeros({256 * 1024}), "big_weight");
  NameScope layer("model");
  const Tensor x = zeros({256 * 1024});
  try {
    const Tensor y = concat({x, x, x, x});
    FAIL();
  } catch (const OutOfMemoryError& e) {
    const std::string text = e.what();
    EXPECT_EQ(e.id(), ErrorId::out_of_memory);
    for (const char* part :
         {"OutOfMemoryError[LS5001] reference:0: concat output f32 (1048576) needs 4.00 MiB", "the limit of",
          "activations 1.00 MiB", "variables 1.00 MiB", "largest", "model/full 1.00 MiB", "big_weight 1.00 MiB",
          "model, called at memory_test.cpp:", "fix"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    }
  }
}

TEST_F(MemoryTest, TheReportListsWhoHoldsMemoryTheLargestFirst) {
  const std::int64_t mebi = 256 * 1024;  // f32 elements in a MiB
  const Variable one(zeros({mebi}), "one"), three(zeros({3 * mebi}), "three"), two(zeros({2 * mebi}), "two");
  std::optional<Tensor> gone;
  {
    const NameScope named("gone");
    gone = zeros({mebi / 8});
  }
  const Variable kept(zeros({mebi / 8}), "kept");  // in the same segment, so that it is not returned to the driver
  gone.reset();
  set_memory_limit(device, memory_stats(device).live + (1 << 20));
  try {
    zeros({2 * mebi});
    FAIL();
  } catch (const OutOfMemoryError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("\n  largest three 3.00 MiB   two 2.00 MiB   one 1.00 MiB   kept 128 KiB\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find("live   variables 6.12 MiB\n"), std::string::npos) << text;
    EXPECT_NE(text.find("leaves 1.00 MiB"), std::string::npos) << text;
  }
}

TEST_F(MemoryTest, WhatIsAddedIsRemoved) {
  const MemoryStats before = memory_stats(device);
  std::uint64_t allocations = before.allocations;
  for (std::int64_t n : {1, 3, 17, 1000, 12345, 700'001}) {
    const Tensor x = zeros({n}, DType::u8);
    const MemoryStats with = memory_stats(device);
    EXPECT_GE(with.live, before.live + static_cast<std::uint64_t>(n));
    EXPECT_EQ(with.allocations, ++allocations);
    EXPECT_EQ(with.cached, with.reserved - with.live);
    EXPECT_GE(with.peak_live, with.live);
  }
  EXPECT_EQ(memory_stats(device).live, before.live);
  EXPECT_EQ(memory_stats(device).live_by_owner, before.live_by_owner);
}

TEST_F(MemoryTest, PeaksAndTheLargestCachedBlock) {
  reset_peak_memory(device);
  const MemoryStats before = memory_stats(device);
  EXPECT_EQ(before.peak_reserved, before.reserved);
  EXPECT_EQ(before.peak_live, before.live);
  constexpr std::uint64_t large = 8 << 20;
  { const Tensor x = zeros({large / 4}); }
  const MemoryStats after = memory_stats(device);
  EXPECT_EQ(after.peak_reserved, before.reserved + large);
  EXPECT_EQ(after.peak_live, before.live + large);
  EXPECT_EQ(after.largest_cached_block, large);
  release_cached_memory(device);
  EXPECT_LT(memory_stats(device).largest_cached_block, large);
  EXPECT_EQ(memory_stats(device).peak_reserved, after.peak_reserved);
  reset_peak_memory(device);
  EXPECT_EQ(memory_stats(device).peak_reserved, before.reserved);
}

TEST_F(MemoryTest, ALowerLimitGivesCachedMemoryBack) {
  release_cached_memory(device);
  const std::uint64_t live = memory_stats(device).live;
  { const Tensor large = zeros({1 << 21}); }
  ASSERT_GE(memory_stats(device).cached, std::uint64_t{8} << 20);
  set_memory_limit(device, memory_stats(device).reserved);
  EXPECT_GE(memory_stats(device).cached, std::uint64_t{8} << 20) << "it is within the limit";
  set_memory_limit(device, live + (1 << 20));
  EXPECT_LT(memory_stats(device).cached, std::uint64_t{8} << 20);
}

TEST_F(MemoryTest, ImpossibleSizesAreToldApart) {
  try {
    zeros({std::int64_t{1} << 50});
    FAIL();
  } catch (const OutOfMemoryError& e) {
    EXPECT_EQ(e.id(), ErrorId::impossible_size) << e.what();
  }
  EXPECT_THROW(zeros({std::int64_t{1} << 40, std::int64_t{1} << 40}), ShapeError);
}

TEST_F(MemoryTest, PoisonFillsMemoryThatIsNotSet) {
  DeviceState& state = device.state();
  const auto contents = [&](Block& block) {
    std::vector<float> floats(16);
    state.queue().read(floats.data(), block, 0, 64, {.op = "read"});
    return floats;
  };
  const auto is_nan = [](float x) { return std::isnan(x); };
  const auto is_one = [](float x) { return x == 1.0f; };
  const auto set_to_one = [&](Block& block) { state.queue().fill(block, 0, 64, 0x3f800000, 4, {.op = "fill"}); };

  BlockRef block = state.allocator().allocate(64, {});
  Block* const place = block.get();
  set_to_one(*block);
  block = BlockRef();
  block = state.allocator().allocate(64, {});
  ASSERT_EQ(block.get(), place);
  EXPECT_TRUE(std::ranges::all_of(contents(*block), is_one)) << "without poison memory comes as it was left";

  block = BlockRef();
  set_memory_poison(device, true);
  block = state.allocator().allocate(64, {});
  ASSERT_EQ(block.get(), place);
  EXPECT_TRUE(std::ranges::all_of(contents(*block), is_nan)) << "new memory";

  set_to_one(*block);
  block = BlockRef();
  set_memory_poison(device, false);
  block = state.allocator().allocate(64, {});
  ASSERT_EQ(block.get(), place);
  EXPECT_TRUE(std::ranges::all_of(contents(*block), is_nan)) << "memory that was given back";
  set_to_one(*block);
  block = BlockRef();
  set_memory_poison(device, true);
  block = state.allocator().allocate(64, {});
  ASSERT_EQ(block.get(), place);
  EXPECT_TRUE(std::ranges::all_of(contents(*block), is_nan)) << "memory that was given back without poison";
  block = BlockRef();
  state.queue().fill(*place, 0, 64, 0x3f800000, 4, {.op = "fill"});
  block = state.allocator().allocate(64, {});
  ASSERT_EQ(block.get(), place);
  EXPECT_TRUE(std::ranges::all_of(contents(*block), is_one)) << "memory is filled when it is freed, not again";
  EXPECT_EQ(ones({100}).to_vector<float>()[50], 1.0f) << "what is set is right";
}

TEST_F(MemoryTest, SteadyTrainingAsksTheDriverForNothing) {
  nn::Model model = zoo::mlp();
  model.build({8, 8, 1}, device);
  model.compile({.optimizer = optim::Adam{}, .loss = losses::SparseCategoricalCrossentropy{}});
  const data::Batch batch{ones({4, 8, 8, 1}), zeros({4}, i32)};
  for (int i = 0; i < 3; ++i) model.train_step(batch);
  const MemoryStats before = memory_stats(device);
  for (int i = 0; i < 3; ++i) model.train_step(batch);
  const MemoryStats after = memory_stats(device);
  EXPECT_EQ(after.driver_allocations, before.driver_allocations);
  EXPECT_GT(after.allocations, before.allocations);
  EXPECT_EQ(after.live, before.live) << "a step leaves nothing behind";
}

TEST_F(MemoryTest, ViewsCopyNothing) {
  const Tensor x = arange(24, f32);
  const std::uint64_t before = memory_stats(device).allocations;
  const Tensor y = slice(transpose(reshape(x, {4, 6})), {{0, 1, 5, 2}});
  const Tensor z = broadcast_to(expand_dims(y, 0), {3, 2, 4});
  EXPECT_EQ(memory_stats(device).allocations, before);
  EXPECT_EQ(z.to_vector<float>()[1], 7.0f);
}

// Threads free blocks while another thread merges free blocks and returns segments.
TEST_F(MemoryTest, ThreadsShareADevice) {
  const std::uint64_t live = memory_stats(device).live;
  std::atomic<int> wrong{0}, working{4};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      DeviceScope on(device);
      std::uint32_t state = static_cast<std::uint32_t>(t) * 7919 + 1;
      std::vector<Tensor> kept;
      for (int i = 0; i < 20'000; ++i) {
        state = state * 1664525u + 1013904223u;
        const std::int64_t n = 1 + (state >> 16) % 3000;
        kept.push_back(full({n}, static_cast<double>(t)));
        if (i % 64 == 0) {
          for (float v : kept.front().to_vector<float>()) wrong += v != static_cast<float>(t);
        }
        if (kept.size() > 20) kept.erase(kept.begin() + (state >> 8) % 20);
      }
      --working;
    });
  }
  while (working > 0) release_cached_memory(device);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(memory_stats(device).live, live);
}

TEST_F(MemoryTest, SizesParseAndPrint) {
  EXPECT_EQ(parse_bytes("512MiB"), 512u << 20);
  EXPECT_EQ(parse_bytes("1.5 GiB"), (3ull << 30) / 2);
  EXPECT_EQ(parse_bytes("12345"), 12345u);
  for (const char* bad : {"", "MiB", "12 parsecs", "-3", "1e40", "0x10KiB"})
    EXPECT_THROW(parse_bytes(bad), UsageError) << bad;
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1643118592), "1.53 GiB");
}

TEST(Fork, AChildGetsAnErrorNotAHang) {
  zeros({4});  // opens the device
  const pid_t child = fork();
  if (child == 0) {
    int status = 1;
    try {
      zeros({4});
    } catch (const StateError& e) {
      status = e.id() == ErrorId::used_after_fork ? 0 : 2;
    }
    _exit(status);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace lockstep
