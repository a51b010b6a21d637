// Tests of the host with an asynchronous device: its queues run on their own threads, with a delay, on memory that is
// not visible to the host, and its commands fail on demand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lockstep/lockstep.h"
#include "lockstep/op_def.h"
#include "runtime/device_state.h"
#include "runtime/tensor_impl.h"
#include "runtime/toy_device.h"

namespace lockstep {
namespace {

// Makes the k-th command from now on fail when it is executed.
void fail_command(int k) {
  static int generation = 0;
  set_option("toy.fail", std::to_string(++generation) + ":" + std::to_string(k));
}

class AsyncTest : public testing::Test {
 protected:
  void SetUp() override { scope.emplace(toy()); }
  void TearDown() override {
    set_option("toy.fail", std::nullopt);
    set_option("toy.delay_us", std::nullopt);
  }
  std::optional<DeviceScope> scope;
};

TEST_F(AsyncTest, CallsReturnBeforeTheirWorkIsDone) {
  set_option("toy.delay_us", "20000");
  Tensor x = ones({8});
  synchronize(toy());
  for (int i = 0; i < 20; ++i) x = x + 1.0f;
  EXPECT_GT(toy().state().queue().pending(), 0u);
  EXPECT_EQ(x.to_vector<float>()[7], 21.0f);
  EXPECT_EQ(toy().state().queue().pending(), 0u);
}

TEST_F(AsyncTest, AMathModeThatTheDeviceLacksIsRefused) {
  const MathModeScope mode(MathMode::lockstep);
  ASSERT_FALSE(toy().state().offers(MathMode::lockstep));
  try {
    ones({2}) + 1.0f;
    FAIL() << "the device computed in a mode that it does not offer";
  } catch (const UnsupportedError& e) {
    EXPECT_EQ(e.id(), ErrorId::math_mode) << e.what();
  }
}

TEST_F(AsyncTest, HostMemoryMayGoBeforeTheDeviceHasReadIt) {
  set_option("toy.delay_us", "2000");
  std::optional<Tensor> x;
  {
    std::vector<float> values(1000, 3.0f);
    x.emplace(values, Shape{1000});
    std::fill(values.begin(), values.end(), -1.0f);
  }
  EXPECT_EQ(sum(*x).item<float>(), 3000.0f);
}

TEST_F(AsyncTest, MemoryIsReusedInOrder) {
  set_option("toy.delay_us", "200");
  Tensor total = zeros({1024});
  for (int i = 0; i < 200; ++i) total = total + full({1024}, 1.0);  // temporaries reuse the memory of earlier ones
  EXPECT_EQ(total.to_vector<float>()[1023], 200.0f);
}

TEST_F(AsyncTest, AFailureSurfacesWhereTheValueIsReadAndNamesOpAndLine) {
  const Tensor x = ones({4});
  synchronize(toy());
  fail_command(2);
  const Tensor a = exp(x);
  const Tensor b = tanh(a);  // the op that fails
  const int line = __LINE__ - 1;
  const Tensor c = b + 1.0f;
  for (int again = 0; again < 2; ++again) {  // dependent tensors keep throwing
    try {
      c.to_vector<float>();
      FAIL() << "a failed command gave a value";
    } catch (const DeviceError& e) {
      EXPECT_EQ(e.id(), ErrorId::driver_failed);
      EXPECT_EQ(e.op(), "tanh");
      EXPECT_NE(e.where().find("async_test.cpp:" + std::to_string(line)), std::string::npos) << e.what();
    }
  }
  EXPECT_NO_THROW(a.to_vector<float>());  // commands before the failure keep their results
  EXPECT_THROW(b.to_vector<float>(), DeviceError);
}

TEST_F(AsyncTest, TheDeviceStaysUsableAfterAFailure) {
  const Tensor x = full({4}, 2.0);
  synchronize(toy());
  fail_command(1);
  const Tensor bad = x * 2.0f;
  EXPECT_THROW(synchronize(toy()), DeviceError);
  EXPECT_THROW(bad + 1.0f, DeviceError) << "using a failed tensor must not compute with rubbish";
  EXPECT_EQ((x * 3.0f).to_vector<float>()[0], 6.0f);
}

TEST_F(AsyncTest, BadIndicesAreReportedLikeOnAnyDevice) {
  const Tensor table = ones({3, 2});
  const Tensor picked = gather(table, Tensor({std::int64_t{7}}));
  try {
    picked.to_vector<float>();
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_EQ(e.id(), ErrorId::index_out_of_range);
    EXPECT_EQ(e.op(), "gather");
  }
}

TEST_F(AsyncTest, CopiesBetweenDevicesBothWays) {
  const Device reference("reference");
  const Tensor here = arange(1000, f32);
  const Tensor there = here.to(reference);
  EXPECT_EQ(there.device(), reference);
  EXPECT_EQ(there.to_vector<float>(), here.to_vector<float>());
  const Tensor back = slice(there, {{0, 3, 900, 7}}).to(toy());
  EXPECT_EQ(back.to_vector<float>()[1], 10.0f);
}

TEST_F(AsyncTest, AnOptimizerStepThatFailsOnTheDeviceChangesNothing) {
  set_seed(3);
  Variable w(random_normal({16, 4}), "w"), b(zeros({4}), "b");
  const std::vector<Variable> variables = {w, b};
  const Tensor x = random_normal({8, 16});
  optim::Optimizer adam{optim::Adam{}};
  const auto step = [&] {
    GradientTape tape;
    const Tensor loss = mean(square(matmul(x, w) + b));
    adam.apply(tape.gradient(loss, std::span<const Variable>(variables)), variables);
    return loss;
  };
  step();
  synchronize(toy());
  const std::vector<float> before = w.read().to_vector<float>(), bias = b.read().to_vector<float>();
  const std::vector<float> moments = adam.state()[0].read().to_vector<float>();
  ASSERT_EQ(adam.steps(), 1);

  // Any command of the step may fail: forward, backward or the update itself.
  int failed = 0;
  for (int k = 1; k <= 40; ++k) {
    fail_command(k);
    try {
      step();
      synchronize(toy());
    } catch (const DeviceError&) {
      ++failed;
    }
    set_option("toy.fail", std::nullopt);
    if (adam.steps() != 1) break;  // k was beyond the last command: the step succeeded
    EXPECT_EQ(w.read().to_vector<float>(), before) << "command " << k;
    EXPECT_EQ(b.read().to_vector<float>(), bias) << "command " << k;
    EXPECT_EQ(adam.state()[0].read().to_vector<float>(), moments) << "command " << k;
  }
  EXPECT_GT(failed, 5);
  EXPECT_EQ(adam.steps(), 2);
  EXPECT_NE(w.read().to_vector<float>(), before);
  EXPECT_NO_THROW(step());
  EXPECT_NO_THROW(synchronize(toy()));
}

TEST_F(AsyncTest, WhatTheDriverSaysOfItsMemoryIsHeeded) {
  set_option("toy.min_alignment", "256");
  set_option("toy.max_tensor_bytes", "4096");
  const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
  set_option("toy.min_alignment", std::nullopt);
  set_option("toy.max_tensor_bytes", std::nullopt);
  ASSERT_TRUE(record.ready) << record.text;
  const DeviceScope coarse(Device(record.name + ":0"));
  DeviceState& state = default_device().state();

  std::vector<Tensor> tensors;
  std::vector<BlockRef> workspaces;
  for (std::int64_t n : {1, 3, 17, 64, 65, 300, 1000}) {
    tensors.push_back(ones({n}));
    EXPECT_EQ(tensors.back().impl()->block->offset % 256, 0u) << n;
    workspaces.push_back(state.allocator().allocate(static_cast<std::uint64_t>(n), {.what = "workspace"}));
    EXPECT_EQ(workspaces.back()->offset % 256, 0u) << n;
  }
  EXPECT_EQ(sum(tensors.back() + 1.0f).item<float>(), 2000.0f);

  EXPECT_NO_THROW(zeros({1024}));
  try {
    zeros({1025});
    FAIL() << "a tensor larger than the driver takes";
  } catch (const OutOfMemoryError& e) {
    EXPECT_EQ(e.id(), ErrorId::impossible_size);
    EXPECT_NE(std::string(e.what()).find("4.00 KiB in one tensor"), std::string::npos) << e.what();
    EXPECT_NE(e.where().find("async_test.cpp:"), std::string::npos) << e.what();
  }
}

TEST_F(AsyncTest, OfTwoLimitsOfATensorTheSmallerHolds) {
  set_option("toy.max_tensor_bytes", "4611686018427387904");
  const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
  set_option("toy.max_tensor_bytes", std::nullopt);
  ASSERT_TRUE(record.ready) << record.text;
  const DeviceState& state = Device(record.name + ":0").state();
  ASSERT_EQ(state.info().max_tensor_bytes, std::uint64_t{1} << 62);
  EXPECT_EQ(state.max_tensor_bytes(), state.info().max_allocation);
}

TEST_F(AsyncTest, PoisonIsOnWhereItsOptionIsOne) {
  for (const bool on : {false, true}) {
    const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
    ASSERT_TRUE(record.ready) << record.text;
    set_option("memory.poison", on ? "1" : "0");
    DeviceState& state = Device(record.name + ":0").state();  // opens the device, which asks for the option
    set_option("memory.poison", std::nullopt);
    BlockRef block = state.allocator().allocate(64, {});
    const Block* const place = block.get();
    state.queue().fill(*block, 0, 64, 0x3f800000, 4, {.op = "fill"});
    block = BlockRef();
    block = state.allocator().allocate(64, {});
    ASSERT_EQ(block.get(), place);
    float last = 0;
    state.queue().wait(state.queue().read(&last, *block, 60, 4, {.op = "read"}));
    EXPECT_TRUE(on ? std::isnan(last) : last == 1.0f) << last;
  }
}

TEST_F(AsyncTest, AnAlignmentThatIsNoneIsRefused) {
  set_option("toy.min_alignment", "24");
  const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
  set_option("toy.min_alignment", std::nullopt);
  EXPECT_FALSE(record.ready);
  EXPECT_NE(record.text.find("aligns its buffers to 24 bytes"), std::string::npos) << record.text;
}

TEST_F(AsyncTest, ImpossibleSizesAreRefused) {
  for (std::int64_t n : {std::int64_t{1} << 50, std::int64_t{1} << 62}) {
    try {
      zeros({n});
      FAIL() << n;
    } catch (const OutOfMemoryError& e) {
      EXPECT_EQ(e.id(), ErrorId::impossible_size) << e.what();
    }
  }
  EXPECT_THROW(toy().state().allocator().allocate(std::uint64_t{1} << 50, {}), OutOfMemoryError);
  EXPECT_EQ(ones({2}).to_vector<float>()[1], 1.0f);
}

TEST_F(AsyncTest, ARunawayLoopIsHeldBack) {
  set_option("toy.delay_us", "50");  // slower than the loop
  Tensor x = zeros({1});
  std::size_t most = 0;
  for (int i = 0; i < 6000; ++i) {
    x = x + 1.0f;
    most = std::max(most, toy().state().queue().pending());
  }
  EXPECT_LE(most, 4096u);
  EXPECT_GT(most, 2000u) << "until then nothing waits";
  EXPECT_EQ(x.to_vector<float>()[0], 6000.0f);
}

// If a finished command frees the last reference to a block, another command of the same queue poisons that block.
TEST_F(AsyncTest, PoisonedMemoryMayBeDroppedWhenItsCommandRetires) {
  set_memory_poison(toy(), true);
  {
    const Variable w(ones({64}), "w");
    optim::Optimizer sgd(optim::Sgd{.learning_rate = 0.5, .momentum = 0.9});
    for (int i = 0; i < 20; ++i) {
      const Tensor gradient = ones({64}) * 2.0f;
      sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
    }
    EXPECT_LT(w.read().to_vector<float>()[63], -1.0f);
  }
  synchronize(toy());
  set_memory_poison(toy(), false);
}

// The fill that poisons a freed block is skipped behind a failed command.
TEST_F(AsyncTest, AFreedBlockWhosePoisonWasSkippedIsPoisonedWhenItIsAllocated) {
  set_memory_poison(toy(), true);
  DeviceState& state = toy().state();
  const Tensor x = ones({8});
  BlockRef block = state.allocator().allocate(64, {});
  const Block* const place = block.get();
  state.queue().fill(*block, 0, 64, 0x3f800000, 4, {.op = "fill"});
  synchronize(toy());

  set_option("toy.delay_us", "20000");
  fail_command(1);
  const Tensor bad = exp(x);
  block = BlockRef();
  EXPECT_THROW(synchronize(toy()), DeviceError);

  block = state.allocator().allocate(64, {});
  ASSERT_EQ(block.get(), place);
  float last = 0;
  state.queue().wait(state.queue().read(&last, *block, 60, 4, {.op = "read"}));
  EXPECT_TRUE(std::isnan(last)) << last;
  set_memory_poison(toy(), false);
}

// ------------------------------------------------------------------------------------------- memory that is split

constexpr std::int64_t part = 256 * 1024;  // elements: a large request, so that four parts have a segment of their own

// Fails the fill of the next PendingBlock: before it come one fill and twenty sums.
void fail_fill_of_block() { fail_command(22); }

void expect_that_a_fill_failed(Device device) {
  try {
    synchronize(device);
    ADD_FAILURE() << "nothing failed";
  } catch (const DeviceError& e) {
    EXPECT_EQ(e.op(), "full") << e.what();
  }
}

// A block of four parts, filled with ones, which goes back to the pool while the fill and what precedes it are pending.
struct PendingBlock {
  lks_buffer* buffer;
  std::uint64_t begin, end;

  explicit PendingBlock(Device device) {
    release_cached_memory(device);
    Tensor slow = ones({8});
    for (int i = 0; i < 20; ++i) slow = slow + 1.0f;
    const Tensor whole = full({4 * part}, 1.0);
    const Block& block = *whole.impl()->block;
    buffer = block.buffer;
    begin = block.offset;
    end = block.offset + block.bytes;
  }
  bool contains(const Tensor& t) const {
    const Block& block = *t.impl()->block;
    return block.buffer == buffer && block.offset >= begin && block.offset + block.bytes <= end;
  }
};

TEST_F(AsyncTest, BothPartsOfASplitBlockAreWrittenAfterTheWhole) {
  set_option("toy.delay_us", "5000");
  const PendingBlock whole(toy());
  const Tensor head = full({part}, 2.0);
  const Tensor filled = full({part}, 3.0);
  const Tensor uploaded(std::vector<float>(part, 4.0f), Shape{part});
  const Tensor computed = uploaded + filled;
  EXPECT_GT(toy().state().queue().pending(), 20u) << "the whole is still being written";
  float value = 1;
  for (const Tensor& t : {head, filled, uploaded, computed}) {
    ++value;
    EXPECT_TRUE(whole.contains(t)) << "else this test needs other sizes";
    EXPECT_EQ(t.to_vector<float>(), std::vector<float>(part, value == 5.0f ? 7.0f : value));
  }
}

// What fails is the fill of a block that nobody uses any more. Its parts belong to others by then.
TEST_F(AsyncTest, TheFailureOfAWholeBlockIsNoneOfItsPartsUploads) {
  set_option("toy.delay_us", "2000");
  synchronize(toy());
  fail_fill_of_block();
  const PendingBlock whole(toy());
  const Tensor head(std::vector<float>(part, 2.0f), Shape{part}), tail(std::vector<float>(part, 3.0f), Shape{part});
  EXPECT_TRUE(whole.contains(head) && whole.contains(tail)) << "else this test needs other sizes";
  expect_that_a_fill_failed(toy());
  EXPECT_EQ(head.to_vector<float>(), std::vector<float>(part, 2.0f));
  EXPECT_EQ(tail.to_vector<float>(), std::vector<float>(part, 3.0f));
}

// An op that the host computes in the memory of the device that it can map: two parts of sevens and eights.
const OpDef& sevens_and_eights() {
  static const OpDef& op = []() -> const OpDef& {
    OpDef def;
    def.name = "async_test::sevens_and_eights";
    def.inputs = {{"x"}};
    def.outputs = {{"sevens"}, {"eights"}};
    def.infer = [](InferContext& c) {
      for (std::size_t o : {0u, 1u}) c.set(o, c.dtype(0), {part});
    };
    def.reference = [](RefContext&) {};
    def.kernels[host_visible_toy().driver()] = [](const OpDef::HostKernelCall& call) {
      for (std::size_t o : {0u, 1u}) {
        std::fill_n(static_cast<float*>(call.outputs[o]), part, 7.0f + static_cast<float>(o));
      }
    };
    return register_op(std::move(def));
  }();
  return op;
}

TEST_F(AsyncTest, TheHostWritesBothPartsOfASplitBlockAfterTheWhole) {
  const DeviceScope on(host_visible_toy());
  const OpDef& op = sevens_and_eights();
  const Tensor x(1.0f);
  for (const bool poison : {false, true}) {
    set_memory_poison(host_visible_toy(), poison);
    synchronize(host_visible_toy());  // the input needs no further wait
    set_option("toy.delay_us", "5000");
    const PendingBlock whole(host_visible_toy());
    const std::vector<Tensor> y = invoke(op, std::vector<Operand>{x});
    for (std::size_t o : {0u, 1u}) {
      EXPECT_TRUE(whole.contains(y[o])) << "else this test needs other sizes";
      EXPECT_EQ(y[o].to_vector<float>(), std::vector<float>(part, 7.0f + static_cast<float>(o))) << poison;
    }
    set_memory_poison(host_visible_toy(), false);
  }
}

TEST_F(AsyncTest, TheFailureOfAWholeBlockIsNoneOfWhatTheHostWritesLater) {
  const DeviceScope on(host_visible_toy());
  const OpDef& op = sevens_and_eights();
  const Tensor x(1.0f);
  synchronize(host_visible_toy());
  fail_fill_of_block();
  const PendingBlock whole(host_visible_toy());
  expect_that_a_fill_failed(host_visible_toy());
  const std::vector<Tensor> y = invoke(op, std::vector<Operand>{x});
  for (std::size_t o : {0u, 1u}) {
    EXPECT_TRUE(whole.contains(y[o])) << "else this test needs other sizes";
    EXPECT_EQ(y[o].to_vector<float>(), std::vector<float>(part, 7.0f + static_cast<float>(o)));
  }
}

// Commands that retire while memory is being released free more memory.
TEST_F(AsyncTest, MemoryMayBeReleasedWhileCommandsRetire) {
  set_option("toy.delay_us", "2000");
  {
    const Variable w(ones({64}), "w");
    optim::Optimizer sgd(optim::Sgd{.learning_rate = 0.5, .momentum = 0.9});
    for (int i = 0; i < 5; ++i) {
      const Tensor gradient = ones({64}) * 2.0f;
      sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
    }
  }
  release_cached_memory(toy());
  EXPECT_EQ((ones({64}) + 1.0f).to_vector<float>()[63], 2.0f);
}

// A command in flight that writes a variable does not count as another reference to the variable's memory.
TEST_F(AsyncTest, UpdatesInFlightCopyNothing) {
  set_option("toy.delay_us", "2000");
  const Variable w(ones({1024}), "w");
  optim::Optimizer sgd(optim::Sgd{.learning_rate = 0.5});
  const Tensor gradient = ones({1024});
  synchronize(toy());
  const std::uint64_t live = memory_stats(toy()).live;
  for (int i = 0; i < 10; ++i) sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
  EXPECT_EQ(memory_stats(toy()).live, live);
  const Tensor read = w.read();
  sgd.apply(std::span(&gradient, 1), std::span(&w, 1));  // a tensor does count
  EXPECT_EQ(read.to_vector<float>()[5], -4.0f);
  EXPECT_EQ(w.read().to_vector<float>()[5], -4.5f);
}

// If the update fails, changes that the step made to other host state are undone too.
TEST_F(AsyncTest, ATrainingStepThatFailsLaterTakesItsRandomNumbersBack) {
  const data::Batch batch{ones({4, 3}), zeros({4}, DType::i32)};
  int failed_later = 0;
  for (int k = 1; k <= 200; ++k) {
    nn::Model model(nn::Sequential(nn::Dense{.units = 4}, nn::Dropout{0.5}, nn::Dense{.units = 2}));
    model.build({3}, toy());
    model.compile({.optimizer = optim::Sgd{}, .loss = losses::SparseCategoricalCrossentropy{}});
    synchronize(toy());
    const std::uint64_t before = random_position().stream;
    fail_command(k);
    bool returned = false, failed = false;
    try {
      model.train_step(batch);
      returned = true;
      synchronize(toy());
    } catch (const DeviceError&) {
      failed = true;
    }
    set_option("toy.fail", std::nullopt);
    if (!failed) break;  // k was beyond the last command
    failed_later += returned;
    EXPECT_EQ(random_position().stream, before) << "command " << k;
    EXPECT_EQ(model.optimizer().steps(), 0) << "command " << k;
  }
  EXPECT_GT(failed_later, 0);
}

// Both steps are undone, the second one first. The first one began without state.
TEST_F(AsyncTest, TwoStepsBehindAFailureLeaveNoState) {
  const Variable w(ones({8}), "w");
  optim::Optimizer adam{optim::Adam{.learning_rate = 0.5}};
  const Tensor gradient = ones({8});
  synchronize(toy());
  set_option("toy.delay_us", "5000");
  fail_command(1);
  const Tensor bad = gradient * 2.0f;
  for (int i = 0; i < 2; ++i) adam.apply(std::span(&gradient, 1), std::span(&w, 1));
  EXPECT_THROW(synchronize(toy()), DeviceError);
  EXPECT_EQ(adam.steps(), 0);
  EXPECT_TRUE(adam.state().empty());
  set_option("toy.delay_us", std::nullopt);
  adam.apply(std::span(&gradient, 1), std::span(&w, 1));
  EXPECT_EQ(adam.steps(), 1);
  EXPECT_NEAR(w.read().to_vector<float>()[0], 0.5f, 1e-4f);
}

// If an optimizer's first step fails, the state that it created is discarded.
TEST_F(AsyncTest, AfterAFirstStepThatFailedTheNextOneIsTheFirst) {
  int failed = 0;
  for (int k = 1; k <= 12; ++k) {
    const Variable w(ones({8}), "w");
    optim::Optimizer adam{optim::Adam{.learning_rate = 0.5}};
    const Tensor gradient = ones({8});
    synchronize(toy());
    fail_command(k);
    try {
      adam.apply(std::span(&gradient, 1), std::span(&w, 1));
      synchronize(toy());
    } catch (const DeviceError&) {
      ++failed;
    }
    set_option("toy.fail", std::nullopt);
    if (adam.steps() == 1) break;  // k was beyond the last command
    EXPECT_TRUE(adam.state().empty()) << "command " << k;
    adam.apply(std::span(&gradient, 1), std::span(&w, 1));
    EXPECT_EQ(adam.steps(), 1);
    EXPECT_NEAR(w.read().to_vector<float>()[0], 0.5f, 1e-4f) << "command " << k;
    EXPECT_EQ(adam.state().size(), 2u);
  }
  EXPECT_GT(failed, 1);
}

}  // namespace
}  // namespace lockstep
