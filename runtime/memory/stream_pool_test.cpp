// Tests of which stream gets a freed block, and when, with a scripted driver whose queues get on only when the test
// says so. Streams on devices that work are tested in stream_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "lockstep/lockstep.h"
#include "runtime/scripted_driver.h"
#include "runtime/stream_order.h"

namespace lockstep {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

struct FakeQueue {
  std::uint64_t newest = 0, reached = 0;
};

struct Script {
  std::deque<FakeQueue> queues;  // in the order in which they were made: the device's own is the first
  std::size_t max_queues = 100;
  lks_status refusal = LKS_UNSUPPORTED;  // of further ones
  lks_status memory = LKS_OK;            // the answer to requests for it
  int waits = 0;
  int buffers = 0;  // that are not freed yet
};
Script script;

FakeQueue& fake(lks_queue* queue) { return *reinterpret_cast<FakeQueue*>(queue); }
FakeQueue& fake(lks_timeline* timeline) { return *reinterpret_cast<FakeQueue*>(timeline); }

const lks_driver_api& table() {
  static const lks_driver_api api = [] {
    lks_driver_api t = scripted_driver();
    t.queue_create = [](lks_device*, std::uint32_t, lks_queue** queue, lks_timeline** timeline,
                        lks_diag* diag) -> lks_status {
      if (script.queues.size() >= script.max_queues) {
        std::snprintf(diag->what, sizeof diag->what, "it has %d queues", static_cast<int>(script.queues.size()));
        return script.refusal;
      }
      FakeQueue& made = script.queues.emplace_back();
      *queue = reinterpret_cast<lks_queue*>(&made);
      *timeline = reinterpret_cast<lks_timeline*>(&made);
      return LKS_OK;
    };
    t.queue_fill = [](lks_queue* queue, lks_buffer*, std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t,
                      std::uint64_t* value, lks_diag*) -> lks_status {
      *value = ++fake(queue).newest;
      return LKS_OK;
    };
    t.timeline_query = [](lks_timeline* timeline, std::uint64_t* reached, lks_diag*) -> lks_status {
      *reached = fake(timeline).reached;
      return LKS_OK;
    };
    t.timeline_wait = [](lks_timeline* timeline, std::uint64_t value, std::uint64_t, lks_diag*) -> lks_status {
      ++script.waits;
      fake(timeline).reached = std::max(fake(timeline).reached, value);
      return LKS_OK;
    };
    t.buffer_alloc = [](lks_device*, std::uint32_t, std::uint64_t, lks_buffer** out, lks_diag* diag) -> lks_status {
      *out = any_handle<lks_buffer>();
      if (script.memory == LKS_OK) {
        ++script.buffers;
      } else {
        std::snprintf(diag->what, sizeof diag->what, "none of this kind");
      }
      return script.memory;
    };
    t.buffer_free = [](lks_device*, lks_buffer*) { --script.buffers; };
    return t;
  }();
  return api;
}

class StreamPool : public testing::Test {
 protected:
  void SetUp() override {
    script = {};
    device = std::make_unique<ScriptedDevice>(table(), 0);
    a.emplace(Stream::create(state().device()));
    b.emplace(Stream::create(state().device()));
  }
  void TearDown() override {
    a.reset();
    b.reset();
    device.reset();
    EXPECT_EQ(script.buffers, 0) << "not all memory was given back when the device was closed";
  }
  DeviceState& state() { return device->state(); }
  BlockRef take(std::uint64_t bytes) { return state().allocator().allocate(bytes, {}); }
  // A block that a command in flight on this thread's stream uses.
  BlockRef take_used(std::uint64_t bytes) {
    BlockRef block = take(bytes);
    use(block);
    return block;
  }
  // Two neighbours of 2 MiB, one in each stream, which commands in flight use; the second in so many.
  void use_neighbours(int uses_of_second) {
    const StreamScope in(*a);
    take(4 * mebibyte);
    const BlockRef head = take_used(2 * mebibyte);
    const StreamScope inner(*b);
    const BlockRef tail = take_used(2 * mebibyte);
    ASSERT_EQ(tail.get(), head->next);
    for (int i = 1; i < uses_of_second; ++i) use(tail);
  }
  std::uint64_t use(const BlockRef& block) { return state().queue().fill(*block, 0, 64, 0, 4, {.op = "fill"}); }
  static void finish(std::size_t queue) { script.queues[queue].reached = script.queues[queue].newest; }
  void finish_all() {
    for (std::size_t i = 0; i < script.queues.size(); ++i) finish(i);
    state().refresh_done();
  }
  std::uint64_t growths() { return state().allocator().stats().driver_allocations; }

  static constexpr std::size_t queue_of_a = 1, queue_of_b = 2;
  std::unique_ptr<ScriptedDevice> device;
  std::optional<Stream> a, b;
};

TEST_F(StreamPool, ItsOwnStreamGetsABlockAtOnceAndOthersWhenItIsDone) {
  const Block* place = nullptr;
  {
    const StreamScope in(*a);
    place = take_used(4096).get();
    EXPECT_EQ(take_used(4096).get(), place) << "a queue runs its commands in order";
  }
  const BlockRef by_default = take(4096);
  EXPECT_NE(by_default.get(), place);
  const StreamScope in(*b);
  const BlockRef other = take(4096);
  EXPECT_NE(other.get(), place);
  finish(queue_of_b);
  state().refresh_done();
  EXPECT_NE(take(4096).get(), place);
  finish(queue_of_a);
  state().refresh_done();
  const BlockRef late[] = {take(4096), take(4096)};
  EXPECT_TRUE(late[0].get() == place || late[1].get() == place);
  EXPECT_EQ(script.waits, 0);
}

TEST_F(StreamPool, ABlockFromBeforeTheFirstStreamIsOneOfTheDefaultStream) {
  a.reset();
  b.reset();
  device.reset();
  script = {};
  device = std::make_unique<ScriptedDevice>(table(), 0);
  const Block* const place = take_used(4096).get();
  EXPECT_EQ(take(4096).get(), place);
  const Stream first = Stream::create(state().device());
  BlockRef other;
  {
    const StreamScope in(first);
    other = take(4096);
    EXPECT_NE(other.get(), place) << "the default stream's commands may still use it";
  }
  EXPECT_EQ(script.waits, 0);
}

TEST_F(StreamPool, WhatAnotherStreamReadsIsNotReusedBeforeItHasReadIt) {
  const Block* place = nullptr;
  {
    const StreamScope in(*a);
    const BlockRef block = take_used(4096);
    place = block.get();
    finish(queue_of_a);
    const StreamScope reader(*b);
    prepare_read(*block, state().queue(), CallSite::current());
    note_read(*block, state().queue(), use(block));
  }
  const StreamScope in(*a);
  EXPECT_NE(take(4096).get(), place);
  finish(queue_of_b);
  state().refresh_done();
  const BlockRef late[] = {take(4096), take(4096)};
  EXPECT_TRUE(late[0].get() == place || late[1].get() == place);
  EXPECT_EQ(script.waits, 0);
}

TEST_F(StreamPool, WhatTwoStreamsReadIsNotReusedBeforeBothHaveReadIt) {
  const Stream c = Stream::create(state().device());
  const auto read_on = [&](const Stream& stream, const BlockRef& block) {
    const StreamScope reader(stream);
    prepare_read(*block, state().queue(), CallSite::current());
    note_read(*block, state().queue(), use(block));
  };
  const StreamScope in(*a);
  const Block* place = nullptr;
  {
    const BlockRef block = take_used(4096);
    place = block.get();
    read_on(*b, block);
    read_on(c, block);
  }
  finish(queue_of_a);
  finish(queue_of_b);
  state().refresh_done();
  const BlockRef early[] = {take(4096), take(4096)};
  EXPECT_TRUE(early[0].get() != place && early[1].get() != place) << "one of the two still reads it";
  finish_all();
  const BlockRef late = take(4096);
  EXPECT_EQ(late.get(), place);
}

TEST_F(StreamPool, AStreamFindsItsOwnBlockBehindThoseOfOthers) {
  const Block* place = nullptr;
  {
    const StreamScope in(*a);
    BlockRef mine = take_used(4096);
    place = mine.get();
    const StreamScope inner(*b);
    BlockRef other = take_used(4096);
    mine = BlockRef();
    other = BlockRef();  // this one is the newest
  }
  const StreamScope in(*a);
  const BlockRef found = take(4096);
  EXPECT_EQ(found.get(), place);
}

TEST_F(StreamPool, AFurtherStreamMakesNothingDone) {
  const Block* place = nullptr;
  {
    const StreamScope in(*a);
    place = take_used(4096).get();
  }
  const Stream further = Stream::create(state().device());
  const StreamScope in(*b);
  const BlockRef other = take(4096);
  EXPECT_NE(other.get(), place);
}

TEST_F(StreamPool, AWriteWaitsForReadersOnOtherStreamsAndTakesTheBlockOver) {
  const StreamScope in(*a);
  const BlockRef block = take_used(4096);
  finish(queue_of_a);
  state().refresh_done();
  {
    const StreamScope reader(*b);
    prepare_read(*block, state().queue(), CallSite::current());
    note_read(*block, state().queue(), use(block));
  }
  const CallSite here = CallSite::current();
  take_over(*block, state().queue(), here);
  EXPECT_EQ(script.waits, 1);
  EXPECT_EQ(script.queues[queue_of_b].reached, 1u);
  const StreamScope writer(*b);
  use(block);
  take_over(*block, state().queue(), here);
  EXPECT_EQ(script.waits, 1) << "the former home has nothing in flight";
  EXPECT_EQ(block->home, &state().queue());
}

TEST_F(StreamPool, AWriteWaitsForTheLastReadOfAnotherStream) {
  const StreamScope in(*a);
  const BlockRef block = take_used(4096);
  {
    const StreamScope reader(*b);
    for (int i = 0; i < 2; ++i) {
      prepare_read(*block, state().queue(), CallSite::current());
      note_read(*block, state().queue(), use(block));
    }
  }
  take_over(*block, state().queue(), CallSite::current());
  EXPECT_EQ(script.queues[queue_of_b].reached, 2u);
}

TEST_F(StreamPool, BeforeItGrowsItAsksWhatIsDone) {
  const Block* place = nullptr;
  {
    const StreamScope in(*a);
    place = take_used(mebibyte).get();
  }
  finish(queue_of_a);
  const std::uint64_t before = growths();
  const StreamScope in(*b);
  EXPECT_EQ(take(mebibyte).get(), place);
  EXPECT_EQ(growths(), before);
}

TEST_F(StreamPool, ItWaitsForOtherStreamsOnlyWhereTheLimitLeavesNothingElse) {
  {
    const StreamScope in(*a);
    take_used(mebibyte);
  }
  const StreamScope in(*b);
  {
    const BlockRef other = take(mebibyte);
    EXPECT_EQ(script.waits, 0);
  }
  state().allocator().set_limit(state().allocator().stats().reserved);
  const BlockRef first = take(mebibyte), second = take(mebibyte);
  EXPECT_GT(script.waits, 0);
  EXPECT_EQ(script.queues[queue_of_a].reached, script.queues[queue_of_a].newest);
}

TEST_F(StreamPool, NeighboursOfDifferentStreamsAreMergedWhenBothAreDone) {
  use_neighbours(1);
  const std::uint64_t before = growths();
  {
    const StreamScope in(*a);
    take(4 * mebibyte);
    EXPECT_EQ(growths(), before + 1) << "the half that the other stream uses is not to be had";
  }
  finish_all();
  state().allocator().release_cached();
  EXPECT_EQ(state().allocator().stats().reserved, 0u);
}

// What a part has of its queue's count says nothing about another queue.
TEST_F(StreamPool, AMergedBlockOfTwoStreamsIsDoneForAll) {
  use_neighbours(3);
  const BlockRef early = [&] {
    const StreamScope in(*a);
    return take(4 * mebibyte);  // finds that they cannot be merged yet
  }();
  finish_all();
  const std::uint64_t before = growths();
  const BlockRef whole = take(4 * mebibyte);
  EXPECT_EQ(growths(), before);
  const BlockRef further = take(2 * mebibyte);
  EXPECT_EQ(growths(), before + 1) << "the parts do not fit beside the whole";
  EXPECT_NE(further.get(), whole.get());
}

TEST_F(StreamPool, ABlockIsNotMergedWithOneThatAnotherStreamUses) {
  use_neighbours(1);
  finish(queue_of_a);
  state().refresh_done();
  const std::uint64_t before = growths();
  const StreamScope in(*a);
  const BlockRef whole = take(4 * mebibyte);
  EXPECT_EQ(growths(), before + 1);
}

// The parameter: which of two neighbours other streams read.
class StreamPoolNeighbours : public StreamPool, public testing::WithParamInterface<int> {};

TEST_P(StreamPoolNeighbours, OfOneStreamAreNotMergedWhileAnotherReadsOne) {
  const Stream c = Stream::create(state().device());
  const StreamScope in(*a);
  take(4 * mebibyte);
  {
    const BlockRef parts[] = {take_used(2 * mebibyte), take_used(2 * mebibyte)};
    ASSERT_EQ(parts[1].get(), parts[0]->next);
    const BlockRef& read = parts[GetParam()];
    for (const Stream& stream : {*b, c}) {
      const StreamScope reader(stream);
      prepare_read(*read, state().queue(), CallSite::current());
      note_read(*read, state().queue(), use(read));
    }
  }
  finish(queue_of_a);
  finish(queue_of_b);
  state().refresh_done();
  const std::uint64_t before = growths();
  const BlockRef whole = take(4 * mebibyte);
  EXPECT_EQ(growths(), before + 1);
}

INSTANTIATE_TEST_SUITE_P(Parts, StreamPoolNeighbours, testing::Values(0, 1));

TEST_F(StreamPool, TheRestOfABlockIsNotToBeHadBeforeTheWholeIsDone) {
  BlockRef head;
  {
    const StreamScope in(*a);
    take_used(4 * mebibyte);
    head = take(2 * mebibyte);
  }
  const Block* const rest = head->next;
  ASSERT_NE(rest, nullptr);
  const BlockRef by_default = take(2 * mebibyte);
  EXPECT_NE(by_default.get(), rest);
  const StreamScope in(*b);
  EXPECT_NE(take(2 * mebibyte).get(), rest);
  finish(queue_of_a);
  state().refresh_done();
  const BlockRef late[] = {take(2 * mebibyte), take(2 * mebibyte)};
  EXPECT_TRUE(late[0].get() == rest || late[1].get() == rest);
  EXPECT_EQ(script.waits, 0);
}

TEST_F(StreamPool, TheRestOfABlockThatAStreamReadsIsThatStreams) {
  BlockRef head;
  {
    const StreamScope in(*a);
    const BlockRef block = take_used(4 * mebibyte);
    finish(queue_of_a);
    const StreamScope reader(*b);
    prepare_read(*block, state().queue(), CallSite::current());
    note_read(*block, state().queue(), use(block));
  }
  state().refresh_done();
  {
    const StreamScope in(*b);
    head = take(2 * mebibyte);
  }
  const Block* const rest = head->next;
  ASSERT_NE(rest, nullptr) << "its own read comes before what it enqueues now";
  const StreamScope in(*a);
  const BlockRef other = take(2 * mebibyte);
  EXPECT_NE(other.get(), rest) << "the other stream still reads it";
}

TEST_F(StreamPool, AMergedBlockIsDoneWhenBothPartsAre) {
  {
    const StreamScope in(*a);
    take(4 * mebibyte);
    BlockRef head = take_used(2 * mebibyte);
    const BlockRef tail = take(2 * mebibyte);
    ASSERT_EQ(tail.get(), head->next);
    head = BlockRef();
    EXPECT_EQ(use(tail), 2u);
  }
  script.queues[queue_of_a].reached = 1;
  state().refresh_done();
  const std::uint64_t before = growths();
  const StreamScope in(*b);
  const BlockRef other = take(4 * mebibyte);
  EXPECT_EQ(growths(), before + 1) << "the second half is in use";
}

// What it does not support is not an op: nobody can help by using another one.
TEST_F(StreamPool, ADriverThatRefusesMemoryHasFailed) {
  script.memory = LKS_UNSUPPORTED;
  try {
    take(4096);
    FAIL() << "there is no memory";
  } catch (const DeviceError& e) {
    EXPECT_EQ(e.id(), ErrorId::driver_failed) << e.what();
    EXPECT_NE(std::string(e.what()).find("none of this kind"), std::string::npos) << e.what();
  }
  script.memory = LKS_OK;
  EXPECT_NO_THROW(take(4096));
}

TEST_F(StreamPool, ADriverThatGivesNoFurtherQueueGetsATypedError) {
  script.max_queues = script.queues.size();
  const int line = __LINE__ + 2;
  try {
    Stream::create(state().device());
    FAIL() << "there is no queue for it";
  } catch (const DeviceError& e) {
    EXPECT_EQ(e.id(), ErrorId::no_stream) << e.what();
    EXPECT_NE(std::string(e.what()).find("it has 3 queues"), std::string::npos) << e.what();
    EXPECT_NE(e.where().find("stream_pool_test.cpp:" + std::to_string(line)), std::string::npos) << e.what();
    EXPECT_FALSE(e.hint().empty());
  }
  b.reset();
  EXPECT_NO_THROW(Stream::create(state().device())) << "the queue of a stream that is gone serves the next";
}

TEST_F(StreamPool, ALostDeviceIsNotTakenForOneWithoutAFurtherQueue) {
  script.max_queues = script.queues.size();
  script.refusal = LKS_DEVICE_LOST;
  try {
    Stream::create(state().device());
    FAIL() << "the device is lost";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), ErrorId::device_lost) << e.what();
  }
}

TEST_F(StreamPool, AStreamGetsNoQueueOfAnotherKind) {
  b.reset();
  const Stream transfers = Stream::create_for_transfers(state().device());
  EXPECT_EQ(script.queues.size(), 4u) << "the queue that is free is for kernels";
  b.emplace(Stream::create(state().device()));
  EXPECT_EQ(script.queues.size(), 4u) << "it serves the next stream of its kind";
}

TEST_F(StreamPool, AStreamGetsNoQueueWithWorkInFlight) {
  {
    const StreamScope in(*b);
    const BlockRef block = take_used(4096);
  }
  b.reset();
  b.emplace(Stream::create(state().device()));
  EXPECT_EQ(script.queues.size(), 4u);
  finish(queue_of_b);
  const Stream next = Stream::create(state().device());
  EXPECT_EQ(script.queues.size(), 4u);
}

}  // namespace
}  // namespace lockstep
