// Tests of data sets: the contents and order of batches, and how many batches are on the device at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "lockstep/lockstep.h"
#include "runtime/device_state.h"
#include "runtime/test_devices.h"

namespace lockstep::data {
namespace {

class DatasetTest : public testing::TestWithParam<std::string> {
 protected:
  // Example i has the features (10 i, 10 i + 1) and the label i.
  static Dataset counting(std::int64_t n) {
    const Tensor i = arange(n, DType::f32);
    return Dataset::from_tensors(stack_columns(i * 10, i * 10 + 1), arange(n, DType::i64));
  }
  static Tensor stack_columns(const Tensor& a, const Tensor& b) {
    return concat({reshape(a, {a.size(), 1}), reshape(b, {b.size(), 1})}, 1);
  }
  std::vector<std::vector<std::int64_t>> labels_of(Dataset::Pass pass) const {
    std::vector<std::vector<std::int64_t>> all;
    while (const std::optional<Batch> batch = pass.next()) {
      all.push_back(batch->labels.to_vector<std::int64_t>());
      const std::vector<float> features = batch->features.to_vector<float>();
      for (std::size_t i = 0; i < all.back().size(); ++i) {
        EXPECT_EQ(features[2 * i], static_cast<float>(10 * all.back()[i])) << "features and labels belong together";
        EXPECT_EQ(features[2 * i + 1], static_cast<float>(10 * all.back()[i] + 1));
      }
    }
    return all;
  }
  std::vector<std::int64_t> order_of(const Dataset& data, std::int64_t pass) const {
    std::vector<std::int64_t> order;
    for (const auto& batch : labels_of(data.batches(7, device, pass)))
      order.insert(order.end(), batch.begin(), batch.end());
    return order;
  }

  Device device{GetParam()};
  DeviceScope scope{device};
};

TEST_P(DatasetTest, TheLastBatchIsSmaller) {
  using Batches = std::vector<std::vector<std::int64_t>>;
  EXPECT_EQ(labels_of(counting(5).batches(2, device)), (Batches{{0, 1}, {2, 3}, {4}}));
  EXPECT_EQ(counting(5).batches(2, device).batch_count(), 3);
  EXPECT_EQ(labels_of(counting(5).batches(2, device, 0, true)), (Batches{{0, 1}, {2, 3}}));
  EXPECT_EQ(counting(5).batches(2, device, 0, true).batch_count(), 2);
  EXPECT_EQ(labels_of(counting(3).batches(100, device)), (Batches{{0, 1, 2}}));
  EXPECT_TRUE(labels_of(counting(0).batches(2, device)).empty());
}

TEST_P(DatasetTest, TakeLimits) {
  EXPECT_EQ(counting(9).take(4).size(), 4);
  EXPECT_EQ(counting(9).take(100).size(), 9);
  EXPECT_EQ(labels_of(counting(9).take(3).batches(2, device)).back(), (std::vector<std::int64_t>{2}));
}

TEST_P(DatasetTest, ShuffleIsAPermutationThatTheKeyAndThePassDetermine) {
  const Dataset data = counting(50).shuffle({3, 0});
  std::vector<std::int64_t> order = order_of(data, 0), in_order(50);
  std::iota(in_order.begin(), in_order.end(), 0);
  EXPECT_NE(order, in_order);
  EXPECT_EQ(order_of(data, 0), order) << "the same pass gives the same order";
  EXPECT_EQ(order_of(counting(50).shuffle({3, 0}), 0), order) << "so does the same key elsewhere";
  EXPECT_NE(order_of(data, 1), order) << "each pass has another";
  EXPECT_NE(order_of(counting(50).shuffle({4, 0}), 0), order) << "so has each key";
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, in_order) << "every example comes once";
}

TEST_P(DatasetTest, ShuffleOrdersAsRandomPermutationDoes) {
  EXPECT_EQ(order_of(counting(50).shuffle({3, 8}), 2),
            random_permutation(50, RandomKey{3, 10}).to_vector<std::int64_t>());
}

// take and shuffle apply in the order in which they are called.
TEST_P(DatasetTest, TakeOfAShuffledSetTakesFromAll) {
  const Dataset data = counting(50).shuffle({3, 0}).take(10);
  EXPECT_EQ(data.size(), 10);
  EXPECT_EQ(data.reach(), 50);
  std::vector<std::int64_t> all = order_of(counting(50).shuffle({3, 0}), 0), taken = order_of(data, 0);
  all.resize(10);
  EXPECT_EQ(taken, all) << "the first ten of the shuffled order";
  EXPECT_GT(*std::max_element(taken.begin(), taken.end()), 9);
  EXPECT_NE(order_of(data, 1), taken) << "each pass takes others";
  std::vector<bool> seen(50, false);
  for (std::int64_t pass = 0; pass < 60; ++pass) {
    for (std::int64_t i : order_of(data, pass)) seen[static_cast<std::size_t>(i)] = true;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 50) << "in the end, all";
  EXPECT_EQ(data.batches(4, device).batch_count(), 3);
}

TEST_P(DatasetTest, ShuffleOfATakenSetMixesTheFirst) {
  const Dataset data = counting(50).take(10).shuffle({3, 0});
  EXPECT_EQ(data.size(), 10);
  EXPECT_EQ(data.reach(), 10);
  std::vector<std::int64_t> order = order_of(data, 0), first(10);
  std::iota(first.begin(), first.end(), 0);
  EXPECT_NE(order, first);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, first);
}

TEST_P(DatasetTest, TakeAndShuffleCompose) {
  const Dataset data = counting(50).take(40).shuffle({3, 0}).take(20).shuffle({4, 0}).take(30).take(5);
  EXPECT_EQ(data.size(), 5);
  EXPECT_EQ(data.reach(), 40);
  const std::vector<std::int64_t> outer = order_of(counting(40).shuffle({3, 0}), 2),
                                  inner = order_of(counting(20).shuffle({4, 0}), 2);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(order_of(data, 2)[i], outer[static_cast<std::size_t>(inner[i])]);
  EXPECT_EQ(counting(50).take(0).shuffle({1, 1}).size(), 0);
  EXPECT_TRUE(order_of(counting(50).shuffle({1, 1}).take(0), 0).empty());
}

TEST_P(DatasetTest, SeekGivesABatchAgain) {
  Dataset::Pass pass = counting(50).shuffle({3, 0}).batches(8, device);
  std::vector<std::vector<std::int64_t>> batches;
  while (const std::optional<Batch> batch = pass.next()) batches.push_back(batch->labels.to_vector<std::int64_t>());
  ASSERT_EQ(batches.size(), 7u);
  for (std::int64_t number : {3, 3, 0, 6, 5}) {
    pass.seek(number);
    EXPECT_EQ(pass.next()->labels.to_vector<std::int64_t>(), batches[static_cast<std::size_t>(number)]);
  }
  EXPECT_EQ(pass.next()->size(), 2) << "and goes on from there";
  pass.seek(7);
  EXPECT_FALSE(pass.next());
  for (std::int64_t number : {-1, 8}) EXPECT_THROW(pass.seek(number), ShapeError);
}

TEST_P(DatasetTest, SeekLetsGoOfTheBatchOnItsWay) {
  const Dataset data = Dataset::from_tensors(zeros({64, 1000}), zeros({64}));
  release_cached_memory(device);
  Dataset::Pass pass = data.batches(8, device);
  const std::uint64_t before = memory_stats(device).live;
  pass.next();
  EXPECT_GT(memory_stats(device).live, before);
  pass.seek(0);
  EXPECT_EQ(memory_stats(device).live, before);
}

TEST_P(DatasetTest, PrepareRunsOnTheDeviceInOrder) {
  const Dataset data = counting(4).prepare([](const Tensor& x) { return x + 1; }).prepare([](const Tensor& x) {
    return reshape(x * 2, {x.shape()[0], 1, 2});
  });
  EXPECT_EQ(data.features(), (TensorSpec{DType::f32, {1, 2}}));
  Dataset::Pass pass = data.batches(1, device);
  EXPECT_EQ(pass.next()->features.to_vector<float>(), (std::vector<float>{2, 4}));
}

TEST_P(DatasetTest, NeverMoreThanTwoBatchesOnTheDevice) {
  constexpr std::int64_t batch_size = 64, row = 1024;
  constexpr std::uint64_t batch_bytes = batch_size * (row + 1) * sizeof(float);
  const Dataset data = Dataset::from_tensors(zeros({batch_size * 6, row}), zeros({batch_size * 6}));
  for (const Dataset& d : {data, data.shuffle({1, 1}), data.take(batch_size * 5 + 3)}) {
    release_cached_memory(device);
    reset_peak_memory(device);
    const MemoryStats before = memory_stats(device);
    Dataset::Pass pass = d.batches(batch_size, device);
    std::int64_t batches = 0;
    for (std::optional<Batch> batch = pass.next(); batch; batch.reset(), batch = pass.next()) ++batches;
    const MemoryStats after = memory_stats(device);
    EXPECT_EQ(batches, 6);
    EXPECT_LE(after.peak_live - before.live, 2 * batch_bytes + 1024);
    EXPECT_GE(after.peak_live - before.live, 2 * batch_bytes) << "the next batch is on its way while one is in use";
    EXPECT_EQ(after.live, before.live) << "nothing stays";
    const auto data_owner = static_cast<std::size_t>(MemoryOwner::data);
    EXPECT_GE(after.peak_by_owner[data_owner], 2 * batch_bytes) << "and is called data";
  }
}

TEST_P(DatasetTest, BatchesRecordNothing) {
  const Variable factor(2.0f, "factor");
  GradientTape tape;
  Dataset::Pass pass = counting(4).prepare([&](const Tensor& x) { return x * factor; }).batches(2, device);
  pass.next();
  EXPECT_EQ(tape.size(), 0u);
}

TEST_P(DatasetTest, WrongUsesAreNamed) {
  EXPECT_THROW(Dataset::from_tensors(zeros({3, 2}), zeros({4})), ShapeError);
  EXPECT_THROW(Dataset::from_tensors(zeros({3, 2}), Tensor(1.0f)), ShapeError);
  for (std::int64_t size : {0, -1}) {
    try {
      counting(3).batches(size, device);
      ADD_FAILURE();
    } catch (const ShapeError& e) {
      EXPECT_EQ(e.id(), ErrorId::invalid_attribute) << e.what();
    }
  }
  EXPECT_THROW(counting(3).take(-1), ShapeError);
}

// A source that counts the examples requested from it.
class LazySource : public Source {
 public:
  std::int64_t size() const override { return 1'000'000'000; }
  TensorSpec features() const override { return {DType::f32, {2}}; }
  TensorSpec labels() const override { return {DType::i64, {}}; }
  void copy(std::span<const std::int64_t> indices, std::byte* features, std::byte* labels) const override {
    copied += static_cast<std::int64_t>(indices.size());
    if (features) std::fill_n(features, 8 * indices.size(), std::byte{});
    if (labels) std::fill_n(labels, 8 * indices.size(), std::byte{});
  }
  mutable std::int64_t copied = 0;
};

TEST_P(DatasetTest, NothingIsReadBeforeItIsNeeded) {
  const auto source = std::make_shared<LazySource>();
  const Dataset data = Dataset(source).take(1000).prepare([](const Tensor& x) { return x * 2; });
  EXPECT_EQ(data.features().shape, (Shape{2}));
  EXPECT_EQ(source->copied, 0);
  Dataset::Pass pass = data.batches(10, device);
  EXPECT_EQ(source->copied, 0);
  pass.next();
  EXPECT_EQ(source->copied, 20) << "this batch and the next";
}

TEST_P(DatasetTest, BatchesAreCopiedOnceOnTheirWay) {
  const auto source = std::make_shared<LazySource>();
  const UploadCounters& uploads = device.state().uploads;
  const std::uint64_t staged = uploads.staged, written = uploads.written, mapped = uploads.mapped;
  Dataset::Pass pass = Dataset(source).take(20).batches(10, device);
  while (pass.next()) {
  }
  constexpr std::uint64_t bytes = 20 * (8 + 8);
  EXPECT_EQ(source->copied, 20) << "the source writes each example once";
  EXPECT_EQ(uploads.staged - staged, 0u) << "and nobody copies it into other host memory";
  const bool direct = device.state().host_visible() && device.state().queue().is_inline();
  EXPECT_EQ(uploads.mapped - mapped, direct ? bytes : 0u) << "the source writes into the device's memory";
  EXPECT_EQ(uploads.written - written, direct ? 0u : bytes) << "or into memory that the device reads once";
}

// Either array of a source may be left out.
TEST_P(DatasetTest, SourcesCopyFeaturesOrLabelsAlone) {
  const Dataset data = counting(4);
  const std::vector<std::int64_t> which = {3, 1};
  std::vector<float> features(4, -1);
  data.source().copy(which, reinterpret_cast<std::byte*>(features.data()), nullptr);
  EXPECT_EQ(features, (std::vector<float>{30, 31, 10, 11}));
  std::vector<std::int64_t> labels(2, -1);
  data.source().copy(which, nullptr, reinterpret_cast<std::byte*>(labels.data()));
  EXPECT_EQ(labels, (std::vector<std::int64_t>{3, 1}));
}

TEST_P(DatasetTest, PreparedFeaturesAreData) {
  const auto of_data = [&] { return memory_stats(device).live_by_owner[static_cast<std::size_t>(MemoryOwner::data)]; };
  const Dataset data = Dataset::from_tensors(zeros({1, 1000}, DType::u8), zeros({1})).prepare([](const Tensor& x) {
    return cast(x, DType::f32);
  });
  const std::uint64_t before = of_data();
  Dataset::Pass pass = data.batches(1, device);
  const std::optional<Batch> batch = pass.next();
  EXPECT_GE(of_data() - before, 4000u + 4u);
}

TEST_P(DatasetTest, ABatchThatFindsNoMemoryIsNamed) {
  const Dataset data = Dataset::from_tensors(zeros({4, 1 << 20}), zeros({4}));
  release_cached_memory(device);
  set_memory_limit(device, memory_stats(device).reserved + (1 << 20));
  Dataset::Pass pass = data.batches(4, device);
  try {
    pass.next();
    ADD_FAILURE() << "16 MiB fit into one";
  } catch (const OutOfMemoryError& e) {
    EXPECT_TRUE(e.where().starts_with("data, ")) << e.what();
  }
  set_memory_limit(device, std::nullopt);
}

// A batch that cannot be read leaves nothing behind, and may be asked for again.
TEST_P(DatasetTest, AFailingSourceCanBeAskedAgain) {
  struct Failing : LazySource {
    void copy(std::span<const std::int64_t> indices, std::byte* features, std::byte* labels) const override {
      if (broken) throw std::runtime_error("the disk is away");
      LazySource::copy(indices, features, labels);
    }
    mutable bool broken = true;
  };
  const auto source = std::make_shared<Failing>();
  const std::uint64_t before = memory_stats(device).live;
  Dataset::Pass pass = Dataset(source).take(20).batches(10, device);
  EXPECT_THROW(pass.next(), std::runtime_error);
  EXPECT_EQ(memory_stats(device).live, before);
  source->broken = false;
  EXPECT_EQ(pass.next()->size(), 10);
  EXPECT_EQ(pass.next()->size(), 10);
  EXPECT_FALSE(pass.next());
}

// Nor is a batch lost whose successor cannot be read, or that cannot be prepared.
TEST_P(DatasetTest, AFailureAfterABatchIsUploadedDoesNotSkipIt) {
  struct FailsOnce : LazySource {
    void copy(std::span<const std::int64_t> indices, std::byte* features, std::byte* labels) const override {
      if (indices.front() == 20 && !std::exchange(failed, true)) throw std::runtime_error("the disk is away");
      std::fill_n(features, 8 * indices.size(), std::byte{});
      std::memcpy(labels, indices.data(), 8 * indices.size());
    }
    mutable bool failed = false;
  };
  int prepared = 0;
  const Dataset data = Dataset(std::make_shared<FailsOnce>()).take(40).prepare([&](const Tensor& x) {
    return ++prepared == 4 ? throw std::runtime_error("not now") : x;
  });
  const std::uint64_t before = memory_stats(device).live;
  Dataset::Pass pass = data.batches(10, device);
  std::vector<std::int64_t> first_labels;
  int failures = 0;
  for (bool more = true; more;) {
    try {
      const std::optional<Batch> batch = pass.next();
      more = batch.has_value();
      if (more) first_labels.push_back(batch->labels.to_vector<std::int64_t>()[0]);
    } catch (const std::runtime_error&) {
      ++failures;
      synchronize(device);
      EXPECT_EQ(memory_stats(device).live, before) << "nothing stays";
    }
  }
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(first_labels, (std::vector<std::int64_t>{0, 10, 20, 30}));
}

INSTANTIATE_TEST_SUITE_P(Devices, DatasetTest, testing::ValuesIn(available_devices()), &by_driver);

}  // namespace
}  // namespace lockstep::data
