// Tests of streams on every device: threads that do not disturb each other, and uploads beside other work.
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lockstep/lockstep.h"
#include "runtime/failing_gather.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

std::vector<float> all(std::int64_t count, float value) {
  return std::vector<float>(static_cast<std::size_t>(count), value);
}

class StreamsOf : public testing::TestWithParam<std::string> {};

// Nine threads compute, each on a stream of its own, with operands of their own and shared ones. The tenth one fails
// all the time.
class Worker {
 public:
  Worker(Device device, const Tensor& table, int number) : device_(device), table_(table), number_(number) {}

  void run() {
    try {
      const DeviceScope on(device_);
      const Stream stream = Stream::create(device_);
      const StreamScope in(stream);
      const Variable sum_of_rounds(zeros({8}), "sum");
      for (int round = 0; round < rounds; ++round) step(sum_of_rounds, round);
      stream.synchronize();
      // 0 + 1 + ... + (rounds - 1), each time the thread's number.
      const auto total = static_cast<float>(number_ * rounds * (rounds - 1) / 2);
      check(sum_of_rounds.read().to_vector<float>() == all(8, total), "the variable", rounds);
    } catch (const std::exception& e) {
      problem_ += e.what();
    }
  }
  const std::string& problem() const { return problem_; }

 private:
  void step(const Variable& sum_of_rounds, int round) {
    const auto value = static_cast<float>(number_ * round);
    const Tensor x(all(1000, value), Shape{1000});
    const Tensor y = x * 2.0f + 1.0f;
    sum_of_rounds.assign_add(full({8}, value));
    check(y.to_vector<float>() == all(1000, 2 * value + 1), "x * 2 + 1", round);
    const Tensor rows = gather(table_, Tensor({std::int64_t{2}, std::int64_t{0}}));
    check((rows + value).to_vector<float>() ==
              std::vector<float>{8 + value, 9 + value, 10 + value, 11 + value, value, 1 + value, 2 + value, 3 + value},
          "rows of the table", round);
  }
  void check(bool is_right, const char* what, int round) {
    if (!is_right) problem_ += std::string(what) + " in round " + std::to_string(round) + "; ";
  }

  static constexpr int rounds = 20;
  const Device device_;
  const Tensor table_;
  const int number_;
  std::string problem_;
};

TEST_P(StreamsOf, AThreadThatFailsAllTheTimeDisturbsNoOther) {
  const Device device = device_named(GetParam());
  std::optional<Tensor> table;
  {
    const DeviceScope on(device);
    table = reshape(arange(12, f32), {3, 4});
  }
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::string problem;
  std::thread failing([&] {
    const DeviceScope on(device);
    const Stream stream = Stream::create(device);
    const StreamScope in(stream);
    for (int i = 0; !stop || i < 4; ++i) {
      const auto fail = [&] {
        const Tensor picked = gather(*table, Tensor({std::int64_t{7}}));
        const Tensor skipped = full({8}, 1.0);
        if (i % 2) picked.to_vector<float>();
        stream.synchronize();
      };
      const int failed = failures_of(fail);
      if (failed != 1) problem = "a call that must fail did not";
      failures += failed;
    }
  });
  std::vector<Worker> workers;
  for (int i = 0; i < 9; ++i) workers.emplace_back(device, *table, i);
  std::vector<std::thread> threads;
  for (Worker& worker : workers) threads.emplace_back([&worker] { worker.run(); });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  failing.join();
  for (const Worker& worker : workers) EXPECT_EQ(worker.problem(), "");
  EXPECT_EQ(problem, "");
  EXPECT_GE(failures, 4);
  EXPECT_NO_THROW(synchronize(device)) << "its failures were met where they belong";
}

TEST_P(StreamsOf, WhatATransferStreamUploadsIsUsedOnOthers) {
  const Device device = device_named(GetParam());
  const DeviceScope on(device);
  const Stream transfers = Stream::create_for_transfers(device), other = Stream::create(device);
  std::vector<Tensor> results;
  for (int i = 0; i < 6; ++i) {
    const std::int64_t count = i % 2 ? 3000 : 300'000;
    const auto value = static_cast<float>(i);
    const Tensor x = [&] {
      const StreamScope in(transfers);
      return Tensor(all(count, value), Shape{count});
    }();
    std::optional<StreamScope> in;
    if (i % 3 == 0) in.emplace(other);
    results.push_back(x * 2.0f + 1.0f);  // the operand's memory is given back while this may be in flight
  }
  const StreamScope in(transfers);
  for (int i = 0; i < 6; ++i) {
    const std::vector<float> got = results[static_cast<std::size_t>(i)].to_vector<float>();
    EXPECT_EQ(got, all(i % 2 ? 3000 : 300'000, static_cast<float>(2 * i + 1))) << i;
  }
  EXPECT_EQ(zeros({100}).to_vector<float>(), all(100, 0));
  EXPECT_NO_THROW(transfers.synchronize());
}

INSTANTIATE_TEST_SUITE_P(Devices, StreamsOf, testing::ValuesIn(devices_and_toy()), &by_device);

}  // namespace
}  // namespace lockstep
