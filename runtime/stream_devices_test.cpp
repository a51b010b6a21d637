// Tests of streams on every device: threads that do not disturb each other, and uploads beside other work.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lockstep/lockstep.h"
#include "nn/test_files.h"
#include "nn/test_points.h"
#include "runtime/failing_gather.h"
#include "runtime/toy_streams.h"

namespace lockstep {
namespace {

class StreamsOf : public testing::TestWithParam<std::string> {};

nn::Model small_model() {
  set_seed(7);
  nn::Model model(nn::Sequential(nn::Dense{.units = 6}, nn::Tanh{}, nn::Dense{.units = 3}));
  model.build({2});
  model.compile({.optimizer = optim::Adam{.learning_rate = 0.02}, .loss = losses::SparseCategoricalCrossentropy{}});
  return model;
}

void train(nn::Model& model, const data::Dataset& data) {
  model.fit(data, {.epochs = 2, .batch_size = 16, .verbose = nn::Verbose::silent});
}

// Nine threads compute, each on a stream of its own, with operands of their own and shared ones, and one trains.
// Another one fails all the time, and changes a variable then. The last one takes memory back, which waits for all
// streams, so that it also finds failures.
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
  std::optional<data::Dataset> data;
  std::string expected, trained;
  {
    const DeviceScope on(device);
    data = nn::points(50);
    nn::Model alone = small_model();
    train(alone, *data);
    expected = alone.weights_sha256();
  }
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::string problem;
  std::thread failing([&] {
    try {
      const DeviceScope on(device);
      const Stream stream = Stream::create(device);
      const StreamScope in(stream);
      const Variable mine(full({8}, 5.0), "mine");
      std::optional<Tensor> reading;
      for (int i = 0; !stop || i < 4; ++i) {
        reading = mine.read();
        if (i % 4 < 2) reading.reset();  // then the next assignment is in place
        const auto fail = [&] {
          const Tensor picked = gather(*table, Tensor({std::int64_t{7}}));
          mine.assign(full({8}, 1.0));
          if (i % 2) picked.to_vector<float>();
          stream.synchronize();
        };
        const int failed = failures_of(fail);
        if (failed != 1) problem = "a call that must fail did not";
        failures += failed;
        // An assignment that was enqueued after the failure was found holds.
        const std::vector<float> now = mine.read().to_vector<float>();
        if (now != all(8, 5) && now != all(8, 1)) problem = "the variable has another value than those it was given";
        mine.assign(full({8}, 5.0));
      }
    } catch (const std::exception& e) {
      problem = e.what();
    }
  });
  std::thread pressing([&] {
    while (!stop) {
      release_cached_memory(device);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::thread training([&] {
    try {
      const DeviceScope on(device);
      const Stream stream = Stream::create(device);
      const StreamScope in(stream);
      nn::Model model = small_model();
      train(model, *data);
      trained = model.weights_sha256();
    } catch (const std::exception& e) {
      trained = e.what();
    }
  });
  std::vector<Worker> workers;
  for (int i = 0; i < 9; ++i) workers.emplace_back(device, *table, i);
  std::vector<std::thread> threads;
  for (Worker& worker : workers) threads.emplace_back([&worker] { worker.run(); });
  for (std::thread& thread : threads) thread.join();
  training.join();
  stop = true;
  failing.join();
  pressing.join();
  for (const Worker& worker : workers) EXPECT_EQ(worker.problem(), "");
  EXPECT_EQ(problem, "");
  EXPECT_EQ(trained, expected);
  EXPECT_GE(failures, 4);
  EXPECT_NO_THROW(synchronize(device)) << "its failures were thrown where they belong";
}

TEST_P(StreamsOf, TrainingAndFilesLeaveTheFailuresOfOthersToThem) {
  const Device device = device_named(GetParam());
  const DeviceScope on(device);
  const Stream a = Stream::create(device), b = Stream::create(device);
  const Tensor table = reshape(arange(12, f32), {3, 4});
  const data::Dataset data = nn::points(50);
  const TemporaryFolder folder;
  const std::string file = folder.file("file");
  int failed = 0;
  const auto while_another_fails = [&](const std::function<void()>& work) {
    {
      const StreamScope in(a);
      failed += failures_of([&] { gather(table, Tensor({std::int64_t{7}})); });
    }
    EXPECT_NO_THROW(work());
    failed += failures_of([&] { a.synchronize(); }, 2);
  };
  {
    const StreamScope in(b);
    nn::Model model = small_model();
    while_another_fails([&] { train(model, data); });
    const std::string weights = model.weights_sha256();
    while_another_fails([&] { model.save_checkpoint(file); });
    while_another_fails([&] { model.load_checkpoint(file); });
    while_another_fails([&] { save_optimizer(file, model.optimizer()); });
    while_another_fails([&] { load_optimizer(file, model.optimizer(), model.trainable_variables()); });
    EXPECT_EQ(model.weights_sha256(), weights);
  }
  EXPECT_EQ(failed, 5) << "each is thrown once, where it belongs";
  EXPECT_NO_THROW(synchronize(device));
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
