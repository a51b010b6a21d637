// Tests of streams with an asynchronous device: the order between streams, whose failure it is, and what happens when a
// stream ends. Which stream gets freed memory is tested in memory/stream_pool_test.cpp, threads with streams on all
// devices in stream_devices_test.cpp.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lockstep/lockstep.h"
#include "runtime/device_state.h"
#include "runtime/failing_gather.h"
#include "runtime/tensor_impl.h"
#include "runtime/toy_streams.h"

namespace lockstep {
namespace {

CommandQueue* queue_of(const Tensor& t) { return t.impl()->block->write_queue; }

// Calls that take a while on the toy with its longest delay of 5 ms.
Tensor slow_calls() {
  Tensor slow = ones({8});
  for (int i = 0; i < 20; ++i) slow = slow + 1.0f;
  return slow;
}

class Streams : public ToyStreams {
 protected:
  // Here, because the tests expect this file in its error.
  Tensor bad() const { return gather(table, Tensor({std::int64_t{1}, std::int64_t{7}})); }
};

// -------------------------------------------------------------------------------------------------------------- scopes

TEST_F(Streams, OfADeviceAreAllDifferentExceptTheDefault) {
  EXPECT_FALSE(a == b);
  EXPECT_FALSE(a == Stream::default_of(toy()));
  EXPECT_TRUE(Stream::default_of(toy()) == Stream::default_of(toy()));
  const Stream same = a;
  EXPECT_TRUE(same == a);
  EXPECT_EQ(a.device(), toy());
}

TEST_F(Streams, OfAnInlineDeviceAreItsDefaultStream) {
  const Device cpu("cpu");
  const Stream stream = Stream::create(cpu);
  EXPECT_TRUE(stream == Stream::default_of(cpu));
  const DeviceScope on_cpu(cpu);
  const StreamScope in(stream);
  EXPECT_EQ((ones({3}) + 1.0f).to_vector<float>(), all(3, 2));
  EXPECT_NO_THROW(stream.synchronize());
  EXPECT_FALSE(cpu.state().has_streams());
}

TEST_F(Streams, CountUntilTheEndOfTheirScope) {
  CommandQueue* const own = queue_of(ones({2}));
  CommandQueue *in_a = nullptr, *in_b = nullptr;
  {
    const StreamScope outer(a);
    in_a = queue_of(ones({2}));
    {
      const StreamScope inner(b);
      in_b = queue_of(ones({2}));
      const StreamScope back(Stream::default_of(toy()));
      EXPECT_EQ(queue_of(ones({2})), own);
    }
    EXPECT_EQ(queue_of(ones({2})), in_a);
    std::thread([&] {
      const DeviceScope on(toy());
      EXPECT_EQ(queue_of(ones({2})), own) << "a scope is its thread's";
    }).join();
    const DeviceScope elsewhere(host_visible_toy());
    EXPECT_EQ(queue_of(ones({2})), &host_visible_toy().state().own_queue()) << "a scope is its device's";
  }
  EXPECT_EQ(queue_of(ones({2})), own);
  EXPECT_EQ(own, &toy().state().own_queue());
  EXPECT_NE(in_a, own);
  EXPECT_NE(in_b, own);
  EXPECT_NE(in_a, in_b);
}

TEST_F(Streams, OfAnotherDeviceEndNoOuterOne) {
  const Stream elsewhere = Stream::create(host_visible_toy());
  const StreamScope outer(a);
  CommandQueue* const mine = queue_of(ones({2}));
  const StreamScope inner(elsewhere);
  EXPECT_NE(mine, &toy().state().own_queue());
  EXPECT_EQ(queue_of(ones({2})), mine);
}

TEST_F(Streams, CountUntilTheEndOfTheirScopeWhateverTheOrder) {
  CommandQueue* const own = queue_of(ones({2}));
  std::optional<StreamScope> outer(a), middle(b), inner(Stream::default_of(toy()));
  middle.reset();
  EXPECT_EQ(queue_of(ones({2})), own) << "the innermost scope still applies";
  inner.reset();
  CommandQueue* const in_a = queue_of(ones({2}));
  EXPECT_NE(in_a, own);
  middle.emplace(b);
  outer.reset();
  CommandQueue* const in_b = queue_of(ones({2}));
  EXPECT_NE(in_b, own);
  EXPECT_NE(in_b, in_a);
  middle.reset();
  EXPECT_EQ(queue_of(ones({2})), own);
}

TEST_F(Streams, OfAnInlineDeviceBringNoOuterOneBack) {
  std::optional<StreamScope> outer(a);
  std::optional<StreamScope> inner(Stream::create(Device("cpu")));
  outer.reset();
  inner.reset();
  EXPECT_EQ(queue_of(ones({2})), &toy().state().own_queue());
}

TEST_F(Streams, TakeAllKindsOfCalls) {
  const StreamScope in(a);
  CommandQueue* const mine = queue_of(ones({2}));
  EXPECT_EQ(queue_of(Tensor({1.0f, 2.0f})), mine) << "an upload";
  EXPECT_EQ(queue_of(full({4}, 2.0)), mine) << "a fill";
  EXPECT_EQ(queue_of(concat({table, table})), mine) << "copies";
  EXPECT_EQ(queue_of(table + 1.0f), mine) << "a kernel";
  const Variable v(ones({2}), "v");
  v.assign(full({2}, 3.0));
  EXPECT_EQ(queue_of(v.read()), mine) << "an assignment";
  EXPECT_EQ(v.read().to_vector<float>(), all(2, 3));
}

TEST_F(Streams, ThatWereMovedFromThrow) {
  Stream stream = a;
  const Stream moved = std::move(stream);
  EXPECT_THROW(stream.synchronize(), StateError);
  EXPECT_THROW(StreamScope in(stream), StateError);
  const Stream& same = stream;
  EXPECT_TRUE(stream == same);
  EXPECT_FALSE(stream == moved);
  EXPECT_FALSE(moved == stream);
  EXPECT_EQ(queue_of(ones({2})), &toy().state().own_queue());
}

// --------------------------------------------------------------------------------------------------------------- order

TEST_F(Streams, DoNotWaitForEachOther) {
  be_slow();
  Tensor slow = [&] {
    const StreamScope in(a);
    return slow_calls();
  }();
  const StreamScope in(b);
  EXPECT_EQ(ones({4}).to_vector<float>(), all(4, 1));
  EXPECT_FALSE(queue_of(slow)->is_done(slow.impl()->block->write_value));
}

TEST_F(Streams, ForTransfersRunBesideKernels) {
  be_slow();
  const Tensor slow = slow_calls();
  const Stream transfers = Stream::create_for_transfers(toy());
  EXPECT_FALSE(transfers == a);
  const Tensor x = [&] {
    const StreamScope in(transfers);
    return Tensor(all(1000, 4), Shape{1000});
  }();
  transfers.synchronize();
  EXPECT_FALSE(queue_of(slow)->is_done(slow.impl()->block->write_value));
  EXPECT_EQ((x * 2.0f).to_vector<float>(), all(1000, 8));
}

TEST_F(Streams, ATensorOfAnotherStreamIsWaitedFor) {
  be_slow();
  const auto on = [](const Stream& stream, const std::function<Tensor()>& make) {
    const StreamScope in(stream);
    return make();
  };
  for (int i = 0; i < 3; ++i) {
    const Tensor slow = on(a, [] { return slow_calls(); });
    EXPECT_EQ(on(b, [&] { return slow * 2.0f; }).to_vector<float>(), all(8, 42));
    const Tensor later = on(a, [] { return slow_calls(); });
    EXPECT_EQ(on(b, [&] { return concat({later, slow}); }).to_vector<float>(), all(16, 21));
    const Tensor last = on(b, [] { return slow_calls(); });
    EXPECT_EQ(last.to_vector<float>(), all(8, 21)) << "a read on the default stream";
  }
}

// A variable's memory is written on one stream while calls in flight on another one read it.
TEST_F(Streams, AVariableIsUpdatedAfterTheReadersOfOtherStreams) {
  for (const bool by_optimizer : {false, true}) {
    const Variable w(full({1024}, 5.0), "w");
    optim::Optimizer sgd(optim::Sgd{.learning_rate = 1.0});
    const Tensor gradient = ones({1024}), next = full({1024}, 4.0);
    synchronize(toy());
    be_slow();
    std::vector<Tensor> read;
    for (const Stream& reader : {Stream::default_of(toy()), b}) {
      const StreamScope in(reader);
      slow_calls();
      read.push_back(w * 2.0f);
    }
    {
      const StreamScope in(a);
      if (by_optimizer) {
        sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
      } else {
        w.assign(next);
      }
      EXPECT_EQ(w.read().to_vector<float>(), all(1024, 4)) << by_optimizer;
    }
    for (const Tensor& t : read) EXPECT_EQ(t.to_vector<float>(), all(1024, 10)) << by_optimizer;
    EXPECT_EQ((w + 1.0f).to_vector<float>(), all(1024, 5)) << "on the default stream again";
    set_option("toy.delay_us", std::nullopt);
  }
}

TEST_F(Streams, MemoryThatAnotherStreamReadsIsNotOverwritten) {
  std::optional<Tensor> x = full({1000}, 3.0);
  synchronize(toy());
  be_slow();
  const Tensor doubled = [&] {
    const StreamScope in(a);
    slow_calls();
    return *x * 2.0f;
  }();
  x.reset();
  std::vector<Tensor> others;
  for (int i = 0; i < 4; ++i) others.push_back(full({1000}, 7.0));
  EXPECT_EQ(others[3].to_vector<float>(), all(1000, 7));
  EXPECT_EQ(doubled.to_vector<float>(), all(1000, 6));
}

TEST_F(Streams, MemoryOfAnotherStreamIsNotWrittenBeforeThatHasUsedIt) {
  be_slow();
  const Tensor doubled = [&] {
    const StreamScope in(a);
    slow_calls();
    return full({1000}, 3.0) * 2.0f;  // the operand's memory is free when this returns
  }();
  const StreamScope in(b);
  std::vector<Tensor> others;
  for (int i = 0; i < 4; ++i) others.push_back(full({1000}, 7.0));
  EXPECT_EQ(others[3].to_vector<float>(), all(1000, 7));
  EXPECT_EQ(doubled.to_vector<float>(), all(1000, 6));
}

TEST_F(Streams, PoisonIsWrittenAfterAllUses) {
  set_memory_poison(toy(), true);
  std::optional<Tensor> x = full({1000}, 3.0);
  synchronize(toy());
  be_slow();
  const Tensor doubled = [&] {
    const StreamScope in(a);
    slow_calls();
    return *x * 2.0f;
  }();
  x.reset();
  EXPECT_EQ(doubled.to_vector<float>(), all(1000, 6));
  set_memory_poison(toy(), false);
}

// ------------------------------------------------------------------------------------------------------------ failures

TEST_F(Streams, AFailureIsThrownByUsesOfItsTensorsAndByNothingElse) {
  const Tensor picked = [&] {
    const StreamScope in(a);
    return bad();
  }();
  {
    const StreamScope in(b);
    const Tensor before = table + 1.0f;
    EXPECT_EQ(failures_of([&] { picked + 1.0f; }, 2), 2) << "at the use, without a read";
    EXPECT_EQ(before.to_vector<float>(), all(12, 2));
    EXPECT_EQ((before + 1.0f).to_vector<float>(), all(12, 3));
    EXPECT_EQ(failures_of([&] { picked.to_vector<float>(); }), 1);
    EXPECT_NO_THROW(b.synchronize());
  }
  EXPECT_NO_THROW(Stream::default_of(toy()).synchronize());
  EXPECT_EQ(failures_of([&] { a.synchronize(); }, 3), 1) << "it was not thrown on its own stream";
  EXPECT_NO_THROW(synchronize(toy()));
}

TEST_F(Streams, OnlyTheirOwnCallsAreSkipped) {
  be_slow();
  std::vector<Tensor> sound;
  std::optional<Tensor> skipped;
  {
    const StreamScope in(a);
    bad();
    skipped = ones({4});
  }
  {
    const StreamScope in(b);
    for (int i = 0; i < 10; ++i) sound.push_back(full({4}, i));
  }
  EXPECT_EQ(failures_of([&] { a.synchronize(); }, 2), 1);
  EXPECT_EQ(failures_of([&] { skipped->to_vector<float>(); }, 2), 2);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(sound[static_cast<std::size_t>(i)].to_vector<float>(), all(4, static_cast<float>(i)));
  }
}

TEST_F(Streams, SynchronizeOfTheDeviceReportsEachStreamsFailureOnce) {
  for (const Stream& stream : {a, b, Stream::default_of(toy())}) {
    const StreamScope in(stream);
    bad();
  }
  EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 6), 3);
  EXPECT_NO_THROW(a.synchronize());
  EXPECT_NO_THROW(b.synchronize());
}

TEST_F(Streams, AFailureUndoesTheChangesOfItsOwnStream) {
  for (const bool is_read : {false, true}) {
    const Variable v(full({4}, 5.0), "v"), w(full({4}, 6.0), "w");
    std::optional<Tensor> readings[2];
    if (is_read) readings[0] = v.read(), readings[1] = w.read();  // then an assignment needs other memory
    synchronize(toy());
    be_slow();
    {
      const StreamScope in(a);
      bad();
      v.assign(full({4}, 1.0));
    }
    {
      const StreamScope in(b);
      w.assign(full({4}, 2.0));
    }
    EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 3), 1);
    EXPECT_EQ(v.read().to_vector<float>(), all(4, 5)) << is_read;
    EXPECT_EQ(w.read().to_vector<float>(), all(4, 2)) << is_read;
    set_option("toy.delay_us", std::nullopt);
  }
}

TEST_F(Streams, AChangeOnAnotherStreamOutlivesAnEarlierOneThatFails) {
  for (const bool is_read : {false, true}) {
    const Variable v(full({4}, 5.0), "v");
    std::optional<Tensor> reading;
    if (is_read) reading = v.read();
    synchronize(toy());
    be_slow();
    {
      const StreamScope in(a);
      bad();
      v.assign(full({4}, 1.0));
    }
    {
      const StreamScope in(b);
      v.assign(full({4}, 2.0));
      EXPECT_NO_THROW(b.synchronize());
    }
    EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 3), 1);
    EXPECT_EQ(v.read().to_vector<float>(), all(4, 2)) << is_read;
    set_option("toy.delay_us", std::nullopt);
  }
}

// The upload is enqueued again when the failure before it becomes known.
TEST_F(Streams, AnUploadThatIsRepeatedDoesNotOverwriteALaterAssignment) {
  be_slow();
  std::optional<Variable> v;
  {
    const StreamScope in(a);
    bad();
    v.emplace(Tensor({1.0f, 2.0f}), "v");
  }
  {
    const StreamScope in(b);
    v->assign(full({2}, 9.0));
    EXPECT_EQ(v->read().to_vector<float>(), all(2, 9));
  }
  EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 2), 1);
  EXPECT_EQ(v->read().to_vector<float>(), all(2, 9));
}

TEST_F(Streams, AStepThatFailsLeavesTheStepOfAnotherStreamAlone) {
  const Variable w(full({4}, 5.0), "w");
  optim::Optimizer sgd(optim::Sgd{.learning_rate = 1.0});
  const Tensor gradient = ones({4});
  synchronize(toy());
  be_slow();
  {
    const StreamScope in(a);
    bad();
    sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
  }
  const StreamScope in(b);
  sgd.apply(std::span(&gradient, 1), std::span(&w, 1));
  EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 3), 1);
  EXPECT_EQ(sgd.steps(), 1);
  EXPECT_EQ(w.read().to_vector<float>(), all(4, 4));
}

TEST_F(Streams, AVariableIsNotAssignedWhatFailedOnAnotherStream) {
  const Variable v(full({2, 4}, 5.0), "v");
  const Tensor reading = v.read();
  const Tensor picked = [&] {
    const StreamScope in(a);
    return bad();
  }();
  EXPECT_EQ(failures_of([&] { v.assign(picked); }, 2), 2);
  EXPECT_EQ(v.read().to_vector<float>(), all(8, 5));
  EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 2), 1);
}

// -------------------------------------------------------------------------------------------------------------- an end

TEST_F(Streams, ThatAreGoneFinishTheirWork) {
  be_slow();
  std::optional<Tensor> x;
  {
    const StreamScope in(Stream::create(toy()));
    for (int i = 0; i < 3; ++i) x = slow_calls();
  }
  const Stream next = Stream::create(toy());
  {
    const StreamScope in(next);
    EXPECT_NE(queue_of(ones({2})), queue_of(*x)) << "a queue with work in flight serves no other stream";
  }
  EXPECT_EQ(x->to_vector<float>(), all(8, 21));
  EXPECT_EQ((*x + 1.0f).to_vector<float>(), all(8, 22));
}

TEST_F(Streams, DoNotReportTheFailuresOfThoseBeforeThem) {
  std::optional<Tensor> picked;
  CommandQueue* queue = nullptr;
  {
    const StreamScope in(Stream::create(toy()));
    picked = bad();
    queue = queue_of(*picked);
  }
  queue->wait_idle();
  std::vector<Stream> next;  // enough to get that queue
  bool is_among = false;
  while (!is_among && next.size() < 20) {
    next.push_back(Stream::create(toy()));
    const StreamScope in(next.back());
    is_among = queue_of(ones({2})) == queue;
  }
  EXPECT_TRUE(is_among);
  EXPECT_NO_THROW(next.back().synchronize());
  EXPECT_EQ(failures_of([&] { picked->to_vector<float>(); }), 1);
  EXPECT_EQ(failures_of([&] { synchronize(toy()); }, 2), 1);
}

}  // namespace
}  // namespace lockstep
