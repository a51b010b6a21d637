#include "runtime/memory/pool.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <utility>

namespace lockstep {
namespace {

// A source that returns numbers instead of memory, and counts calls and bytes.
class FakeSource : public SegmentSource {
 public:
  explicit FakeSource(std::uint64_t capacity) : capacity_(capacity) {}
  SegmentResult allocate(std::uint64_t bytes) override {
    ++calls;
    if (bytes > capacity_ - used) return {nullptr, Shortage::driver, LKS_OUT_OF_MEMORY};
    used += bytes;
    ++live;
    return {reinterpret_cast<lks_buffer*>(++next_), Shortage::none, LKS_OK};
  }
  void free(lks_buffer*, std::uint64_t bytes) override {
    used -= bytes;
    --live;
  }
  std::uint64_t room() const override { return knows_its_room ? capacity_ - used : UINT64_MAX; }
  std::uint64_t used = 0;
  int calls = 0, live = 0;
  bool knows_its_room = false;

 private:
  std::uint64_t capacity_;
  std::uintptr_t next_ = 0;
};

// nullptr if the pool finds no memory.
Block* request(BlockPool& pool, std::uint64_t bytes) {
  SegmentResult failure;
  Block* block = pool.allocate(bytes, failure);
  if (block) block->requested = bytes;
  return block;
}

class PoolTest : public testing::Test {
 protected:
  Block* take(std::uint64_t bytes) {
    Block* block = request(pool, bytes);
    if (block) block->refs = 1;
    return block;
  }
  void give(Block* block) {
    block->refs = 0;
    pool.free(block);
  }

  FakeSource source{64 << 20};
  int waits = 0;
  BlockPool pool{source, nullptr, [this] { return ++waits > 0; }};
};

TEST_F(PoolTest, RoundsToClassesThatWasteAtMostAnEighth) {
  EXPECT_EQ(BlockPool::rounded(1), 64u);
  EXPECT_EQ(BlockPool::rounded(64), 64u);
  EXPECT_EQ(BlockPool::rounded(65), 128u);
  for (std::uint64_t n = 1; n < (1 << 22); n = n * 9 / 8 + 1) {
    const std::uint64_t r = BlockPool::rounded(n);
    EXPECT_GE(r, n);
    EXPECT_EQ(r % 64, 0u);
    EXPECT_EQ(BlockPool::rounded(r), r) << n;
    if (n > 1024) {
      EXPECT_LE(static_cast<double>(r), static_cast<double>(n) * 1.125 + 64);
    }
  }
}

TEST_F(PoolTest, SteadyWorkNeverAsksTheSource) {
  for (int step = 0; step < 3; ++step) {
    const int before = source.calls;
    std::vector<Block*> blocks;
    for (std::uint64_t bytes : {100u, 70'000u, 3'000'000u, 100u, 5'000'000u}) blocks.push_back(take(bytes));
    for (Block* b : blocks) give(b);
    if (step > 0) {
      EXPECT_EQ(source.calls, before);
    }
  }
}

TEST_F(PoolTest, BlocksDoNotOverlapAndAreAligned) {
  std::mt19937 random(1);
  std::vector<Block*> held;
  for (int i = 0; i < 2000; ++i) {
    if (!held.empty() && random() % 3 == 0) {
      const std::size_t at = random() % held.size();
      give(held[at]);
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
      continue;
    }
    if (Block* b = take(1 + random() % (random() % 8 ? 4096 : 900'000))) held.push_back(b);
  }
  std::map<std::pair<lks_buffer*, std::uint64_t>, std::uint64_t> ranges;
  for (Block* b : held) {
    EXPECT_EQ(b->offset % 64, 0u);
    EXPECT_GE(b->bytes, b->requested);
    ranges[{b->buffer, b->offset}] = b->offset + b->bytes;
  }
  EXPECT_EQ(ranges.size(), held.size());
  for (auto it = ranges.begin(); it != ranges.end(); ++it) {
    const auto next = std::next(it);
    if (next != ranges.end() && next->first.first == it->first.first) {
      EXPECT_LE(it->second, next->first.second);
    }
  }
  for (Block* b : held) give(b);
}

TEST_F(PoolTest, FreedNeighboursServeALargerRequest) {
  std::vector<Block*> small;
  for (int i = 0; i < 32; ++i) small.push_back(take(64 * 1024));
  for (Block* b : small) give(b);
  const int before = source.calls;
  Block* large = take(512 * 1024);
  EXPECT_EQ(source.calls, before);
  give(large);
}

TEST_F(PoolTest, ABlockIsFoundAgainByTheRequestThatItServed) {
  Block *x = take(1000), *y = take(1000), *between = take(1000);
  give(take(5 << 20));
  Block* large = take(9 << 19);
  EXPECT_EQ(large->bytes, std::uint64_t{5} << 20) << "the rest is too little to be cut off";
  give(x);
  give(y);
  give(large);
  EXPECT_EQ(take(9 << 19), large);
  EXPECT_EQ(take(1000), y) << "for that, nothing else that is cached was merged";
  EXPECT_EQ(take(1000), x);
  for (Block* b : {x, y, between, large}) give(b);
}

TEST_F(PoolTest, GivesCachedSegmentsBackBeforeItFails) {
  Block* a = take(40 << 20);
  give(a);
  Block* b = take(60 << 20);  // fits only after the first segment was returned
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(waits, 1);
  const int before = source.calls;
  EXPECT_EQ(take(30 << 20), nullptr);
  EXPECT_EQ(source.calls, before + 2) << "before and after memory was given back";
  give(b);
}

TEST_F(PoolTest, BlocksOfEveryClassAreFoundAgain) {
  for (std::uint64_t bytes = 64; bytes <= 512 * 1024; bytes = BlockPool::rounded(bytes + 1)) {
    Block* block = take(bytes);
    EXPECT_EQ(block->bytes, bytes);
    give(block);
    EXPECT_EQ(take(bytes), block) << bytes;
    give(block);
  }
  pool.release_cached();
  EXPECT_EQ(source.live, 0);
}

TEST_F(PoolTest, WhatIsCachedIsMergedOnlyForWhatFindsNoOtherPlace) {
  Block *x = take(1024), *y = take(1024), *between = take(1024);
  give(x);
  give(y);
  Block* larger = take(2048);
  EXPECT_NE(larger, x) << "the rest of the segment serves it";
  EXPECT_EQ(take(1024), y);
  EXPECT_EQ(take(1024), x);
  for (Block* b : {x, y, between, larger}) give(b);
}

TEST_F(PoolTest, AHoleIsCutAndClosedAgain) {
  Block *a = take(64), *b = take(64), *after = take(64);
  give(a);
  give(b);
  pool.release_cached();  // merges the two
  EXPECT_EQ(take(64), a);
  EXPECT_EQ(a->bytes, 64u) << "a rest of one block is not given away";
  Block* rest = take(64);
  EXPECT_EQ(rest->offset, a->offset + 64);
  give(a);
  give(rest);
  pool.release_cached();
  ASSERT_EQ(source.live, 1) << "the block behind the hole is in use";
  give(after);
  pool.release_cached();
  EXPECT_EQ(source.live, 0);
}

TEST_F(PoolTest, InTheEndEverythingGoesBack) {
  {
    BlockPool other(source, nullptr, [] { return true; });
    SegmentResult failure;
    for (std::uint64_t bytes : {std::uint64_t{1000}, std::uint64_t{3} << 20}) {
      Block* block = other.allocate(bytes, failure);
      block->requested = bytes;
      other.free(block);
    }
    EXPECT_EQ(source.live, 2);
  }
  EXPECT_EQ(source.live, 0);
  EXPECT_EQ(source.used, 0u);
}

// On an asynchronous device, a wait may free blocks that commands held, also a part of a segment that stays in use.
TEST_F(PoolTest, WhatComesBackWhileItWaitsServesTheRequest) {
  FakeSource tight(8 << 20);
  Block* in_flight = nullptr;
  BlockPool* waiting = nullptr;
  BlockPool other(tight, nullptr, [&] {
    if (Block* block = std::exchange(in_flight, nullptr)) waiting->free(block);
    return true;
  });
  waiting = &other;
  const auto get = [&](std::uint64_t bytes) { return request(other, bytes); };
  Block* whole = get(8 << 20);
  other.free(whole);
  Block* kept = get(2 << 20);
  in_flight = get(6 << 20);
  Block* next = get(5 << 20);
  ASSERT_NE(next, nullptr) << "the six MiB in flight came back";
  EXPECT_EQ(tight.used, std::uint64_t{8 << 20});
  for (Block* block : {kept, next}) other.free(block);
}

// The device may still work on what was freed last.
TEST_F(PoolTest, ReturnsNothingToTheDriverIfItsWaitFails) {
  FakeSource tight(4 << 20);
  bool idle = false;
  BlockPool other(tight, nullptr, [&] { return idle; });
  other.free(request(other, 4 << 20));
  other.release_cached();
  EXPECT_EQ(tight.used, std::uint64_t{4 << 20});
  Block* block = request(other, 1 << 20);
  ASSERT_NE(block, nullptr) << "it can be used again";
  other.free(block);
  idle = true;
  other.release_cached();
  EXPECT_EQ(tight.used, 0u);
}

TEST_F(PoolTest, BeforeItFailsAHoleOfTheOtherKindServes) {
  FakeSource tight(2 << 20);
  BlockPool other(tight, nullptr, [] { return true; });
  const auto get = [&](std::uint64_t bytes) { return request(other, bytes); };
  Block* small = get(1000);
  Block* large = get(1 << 20);
  ASSERT_NE(large, nullptr) << "in the segment for small requests";
  EXPECT_EQ(get(1 << 20), nullptr);
  for (Block* block : {small, large}) other.free(block);
  Block* all = get(2 << 20);
  ASSERT_NE(all, nullptr);
  other.free(all);
  Block* half = get(1 << 20);
  Block* rest = get(100'000);
  ASSERT_NE(rest, nullptr) << "in the segment for large requests";
  for (Block* block : {half, rest}) other.free(block);
}

TEST_F(PoolTest, CompactMemoryWaitsAndLeavesNoHoles) {
  FakeSource tight(3 << 20);
  int compact_waits = 0;
  BlockPool other(tight, nullptr, [&] { return ++compact_waits > 0; });
  other.set_compact(true);
  SegmentResult failure;
  std::vector<Block*> blocks;
  // Without compact mode, large blocks would not be split, and small blocks would need a segment of 2 MiB.
  const auto get = [&](std::uint64_t bytes) {
    Block* block = other.allocate(bytes, failure);
    ASSERT_NE(block, nullptr) << bytes;
    block->requested = bytes;
    blocks.push_back(block);
  };
  get(3 << 20);
  other.free(blocks.back());
  blocks.clear();
  get(1 << 20);
  get(700 << 10);
  for (int i = 0; i < 8; ++i) get(160 << 10);
  EXPECT_EQ(tight.used, std::uint64_t{3 << 20});
  EXPECT_GE(compact_waits, 11) << "for every request";
  for (Block* block : blocks) other.free(block);
  other.set_compact(false);
  const int before = compact_waits;
  Block* block = other.allocate(700 << 10, failure);
  block->requested = 700 << 10;
  EXPECT_EQ(compact_waits, before);
  other.free(block);
}

TEST_F(PoolTest, SmallRequestsTakeWhatIsLeftWhereAWholeSegmentDoesNotFit) {
  FakeSource tight(100 * 1024);
  BlockPool small(tight, nullptr, [] { return true; });
  SegmentResult failure;
  Block* block = small.allocate(4096, failure);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(tight.used, 4096u);
  block->requested = 4096;
  small.free(block);
}

TEST_F(PoolTest, UnderALimitSegmentsForSmallRequestsTakeASixteenthOfTheRoom) {
  FakeSource tight(1 << 20);
  tight.knows_its_room = true;
  BlockPool small(tight, nullptr, [] { return true; });
  SegmentResult failure;
  Block* block = small.allocate(1000, failure);
  EXPECT_EQ(tight.used, 64u * 1024);
  block->requested = 1000;
  small.free(block);
  EXPECT_EQ(source.used, 0u);
  give(take(1000));
  EXPECT_EQ(source.used, std::uint64_t{2} << 20) << "without a limit";
}

TEST_F(PoolTest, UnderALimitACompactSegmentTakesAllTheRoom) {
  FakeSource tight(8 << 20);
  tight.knows_its_room = true;
  BlockPool other(tight, nullptr, [] { return true; });
  const auto get = [&](std::uint64_t bytes) { return request(other, bytes); };
  other.free(get(2 << 20));
  EXPECT_EQ(tight.used, std::uint64_t{2} << 20);
  other.set_compact(true);
  Block* most = get(7 << 20);  // 6 MiB are left at first
  ASSERT_NE(most, nullptr);
  EXPECT_EQ(tight.used, std::uint64_t{8} << 20) << "also the room that was given back";
  const int before = tight.calls;
  Block* rest = get(1000);
  ASSERT_NE(rest, nullptr);
  EXPECT_EQ(tight.calls, before);
  for (Block* block : {most, rest}) other.free(block);
}

TEST(LimitedSegments, CountWhatTheyHaveAgainstTheBudget) {
  FakeSource source(1000);
  const auto budget = std::make_shared<MemoryBudget>();
  LimitedSegments limited(source, budget);
  EXPECT_EQ(limited.room(), UINT64_MAX) << "what the source says, if there is no limit";
  EXPECT_EQ(limited.allocate(1001).shortage, Shortage::driver);
  EXPECT_EQ(budget->used(), 0u) << "the source gave nothing";
  budget->set_limit(900);
  lks_buffer* buffer = limited.allocate(600).buffer;
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(limited.room(), 300u);
  EXPECT_EQ(limited.allocate(301).shortage, Shortage::limit);
  EXPECT_EQ(source.calls, 2) << "the source is not asked for what exceeds the limit";
  budget->set_limit(500);
  EXPECT_EQ(limited.room(), 0u);
  budget->set_limit(900);
  limited.free(buffer, 600);
  EXPECT_EQ(limited.room(), 900u);
  EXPECT_EQ(source.live, 0);
}

// The last reference is dropped outside the lock. The pool must not touch the block before `free` is called.
TEST_F(PoolTest, ABlockOnItsWayBackIsNotYetFree) {
  Block* first = take(1000);
  Block* second = take(1000);
  first->refs = 0;
  give(second);
  pool.release_cached();
  EXPECT_EQ(source.live, 1);
  EXPECT_EQ(first->bytes, BlockPool::rounded(1000)) << "not merged with its neighbour";
  pool.free(first);
  pool.release_cached();
  EXPECT_EQ(source.live, 0);
}

TEST_F(PoolTest, ASegmentWhoseFirstBlockAloneIsFreeStays) {
  Block* first = take(1000);
  Block* second = take(1000);
  give(first);
  pool.release_cached();
  ASSERT_EQ(source.live, 1);
  give(second);
  pool.release_cached();
  EXPECT_EQ(source.live, 0);
}

TEST_F(PoolTest, BlocksLieAtMultiplesOfTheDevicesAlignment) {
  FakeSource other(64 << 20);
  BlockPool coarse(
      other, nullptr, [] { return true; }, 4096);
  std::vector<Block*> blocks;
  SegmentResult failure;
  for (std::uint64_t bytes : {1u, 100u, 1100u, 4097u, 9000u, 70'000u, 700'000u, 100u}) {
    blocks.push_back(coarse.allocate(bytes, failure));
    blocks.back()->requested = bytes;
    EXPECT_EQ(blocks.back()->offset % 4096, 0u) << bytes;
    EXPECT_GE(blocks.back()->bytes, bytes);
  }
  for (Block* block : blocks) coarse.free(block);
  const int calls = other.calls;
  for (Block* block : blocks) EXPECT_GE(coarse.allocate(block->requested, failure)->bytes, block->requested);
  EXPECT_EQ(other.calls, calls);
  for (Block* block : blocks) coarse.free(block);
  for (std::uint64_t n = 1; n < (1 << 22); n = n * 9 / 8 + 1) {
    const std::uint64_t r = BlockPool::rounded(n, 256);
    EXPECT_GE(r, n);
    EXPECT_EQ(r % 256, 0u);
    EXPECT_EQ(BlockPool::rounded(r, 256), r) << n;
  }
}

TEST_F(PoolTest, ReleaseReturnsEverythingThatIsFree) {
  Block* kept = take(1000);
  give(take(3 << 20));
  give(take(5 << 20));
  pool.release_cached();
  EXPECT_EQ(source.live, 1);
  give(kept);
  pool.release_cached();
  EXPECT_EQ(source.live, 0);
  EXPECT_EQ(pool.reserved(), 0u);
}

}  // namespace
}  // namespace lockstep
