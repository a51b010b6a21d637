#include "lockstep/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace lockstep {
namespace {

class ParallelTest : public testing::Test {
 protected:
  void TearDown() override {
    set_thread_count(0);
    set_parallel_runner(nullptr);
  }
};

TEST_F(ParallelTest, CoversTheRangeOnce) {
  set_thread_count(4);
  for (std::int64_t n : {0, 1, 7, 1000, 4096}) {
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
    parallel_for(n, 10, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
    });
    for (auto& s : seen) EXPECT_EQ(s, 1);
  }
}

TEST_F(ParallelTest, SmallWorkStaysOnTheCallersThread) {
  set_thread_count(4);
  const auto caller = std::this_thread::get_id();
  parallel_for(100, 1000, [&](std::int64_t, std::int64_t) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

TEST_F(ParallelTest, PiecesRunAtTheSameTime) {
  constexpr int threads = 3;
  set_thread_count(threads);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::atomic<int> started{0}, met{0};
  parallel_for(threads, 1, [&](std::int64_t, std::int64_t) {
    // With fewer threads, one piece would begin only after another has ended.
    ++started;
    while (started < threads && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    met += started == threads;
  });
  EXPECT_EQ(met, threads);
}

TEST_F(ParallelTest, NestedCallsStayOnTheirThread) {
  set_thread_count(2);
  parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
    const auto outer = std::this_thread::get_id();
    parallel_for(100, 1, [&](std::int64_t, std::int64_t) { EXPECT_EQ(std::this_thread::get_id(), outer); });
  });
}

TEST_F(ParallelTest, RethrowsTheFirstException) {
  set_thread_count(2);
  EXPECT_THROW(parallel_for(100, 1,
                            [](std::int64_t begin, std::int64_t) {
                              if (begin == 0) throw std::runtime_error("no");
                            }),
               std::runtime_error);
}

TEST_F(ParallelTest, AnApplicationsPoolRunsThePieces) {
  set_thread_count(3);
  unsigned asked = 0;
  set_parallel_runner([&](unsigned n, const std::function<void(unsigned)>& piece) {
    asked = n;
    for (unsigned i = 0; i < n; ++i) piece(n - 1 - i);
  });
  std::atomic<std::int64_t> total{0};
  parallel_for(90, 10, [&](std::int64_t begin, std::int64_t end) { total += end - begin; });
  EXPECT_EQ(asked, 3u);
  EXPECT_EQ(total, 90);
}

// The pieces that a custom runner gets; empty if the caller does all the work itself.
using Pieces = std::vector<std::pair<std::int64_t, std::int64_t>>;
Pieces pieces_of(std::int64_t n, std::int64_t grain) {
  unsigned asked = 0;
  set_parallel_runner([&](unsigned count, const std::function<void(unsigned)>& piece) {
    asked = count;
    for (unsigned i = 0; i < count; ++i) piece(i);
  });
  Pieces pieces;
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) { pieces.emplace_back(begin, end); });
  return asked == pieces.size() ? pieces : Pieces();
}

TEST_F(ParallelTest, PiecesAreOfEqualSizeAndNoneIsBelowTheGrain) {
  set_thread_count(3);
  EXPECT_EQ(pieces_of(10, 1), (Pieces{{0, 3}, {3, 6}, {6, 10}}));
  EXPECT_EQ(pieces_of(10, 0), (Pieces{{0, 3}, {3, 6}, {6, 10}})) << "no grain is a grain of 1";
  EXPECT_EQ(pieces_of(20, 10), (Pieces{{0, 10}, {10, 20}}));
  EXPECT_EQ(pieces_of(29, 10), (Pieces{{0, 14}, {14, 29}}));
  EXPECT_EQ(pieces_of(2, 1), (Pieces{{0, 1}, {1, 2}}));
  EXPECT_EQ(pieces_of(19, 10), Pieces()) << "one piece is the caller's";
  EXPECT_EQ(pieces_of(10, 1), (Pieces{{0, 3}, {3, 6}, {6, 10}})) << "after a call all is as before";
  set_thread_count(1);
  EXPECT_EQ(pieces_of(10, 1), Pieces());
}

TEST_F(ParallelTest, AThreadCanHaveANumberOfItsOwn) {
  set_thread_count(3);
  {
    const ThreadCountScope two(2);
    EXPECT_EQ(thread_count(), 2u);
    EXPECT_EQ(pieces_of(10, 1), (Pieces{{0, 5}, {5, 10}}));
    {
      const ThreadCountScope one(1);
      EXPECT_EQ(thread_count(), 1u);
      EXPECT_EQ(pieces_of(10, 1), Pieces()) << "the caller does all the work";
    }
    {
      const ThreadCountScope as_the_application(0);
      EXPECT_EQ(thread_count(), 3u);
    }
    EXPECT_EQ(thread_count(), 2u);
    set_thread_count(4);
    EXPECT_EQ(thread_count(), 2u) << "the scope's number holds";
    unsigned elsewhere = 0;
    std::thread([&] { elsewhere = thread_count(); }).join();
    EXPECT_EQ(elsewhere, 4u) << "other threads have the application's";
  }
  EXPECT_EQ(thread_count(), 4u);
}

TEST_F(ParallelTest, ThreadsWithNumbersOfTheirOwnRunSideBySide) {
  std::vector<std::thread> callers;
  std::vector<unsigned> given(4);
  std::atomic<std::int64_t> total{0};
  for (unsigned c = 0; c < 4; ++c) {
    callers.emplace_back([&, c] {
      const ThreadCountScope scope(c + 1);
      for (int k = 0; k < 50; ++k) {
        parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { total += end - begin; });
      }
      given[c] = thread_count();
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(total, 4 * 50 * 100);
  EXPECT_EQ(given, (std::vector<unsigned>{1, 2, 3, 4}));
}

TEST_F(ParallelTest, OfSeveralExceptionsTheFirstIsRethrown) {
  set_thread_count(3);
  set_parallel_runner([](unsigned count, const std::function<void(unsigned)>& piece) {
    for (unsigned i = 0; i < count; ++i) piece(i);
  });
  try {
    parallel_for(3, 1, [](std::int64_t begin, std::int64_t) { throw static_cast<int>(begin); });
    FAIL();
  } catch (int begin) {
    EXPECT_EQ(begin, 0);
  }
}

TEST_F(ParallelTest, SeveralCallersAtOnce) {
  set_thread_count(3);
  std::atomic<std::int64_t> total{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int k = 0; k < 50; ++k) {
        parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { total += end - begin; });
      }
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(total, 4 * 50 * 100);
}

}  // namespace
}  // namespace lockstep
