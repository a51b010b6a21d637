// Tests of check_no_growth: it finds leaks and gives no false alarms.
#include "conformance/runtime/footprint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "conformance/runtime/check.h"

namespace lockstep::conformance {
namespace {

// Allocates memory, and frees it at the end of the test.
class NoGrowth : public testing::Test {
 protected:
  ~NoGrowth() override { give_back(); }

  void take(std::size_t bytes) {
    if (taken_.size() == taken_.capacity()) throw std::length_error("the test itself must take no memory");
    taken_.push_back(std::malloc(bytes));
  }
  void give_back() {
    for (void* p : taken_) std::free(p);
    taken_.clear();
  }

  static std::string verdict(const std::function<void()>& step, double bytes_each = 1) {
    try {
      check_no_growth("a step", 100, step, bytes_each);
    } catch (const CheckFailed& e) {
      return e.what();
    }
    return "";
  }

 private:
  std::vector<void*> taken_ = [] {
    std::vector<void*> room;
    room.reserve(100'000);
    return room;
  }();
};

TEST_F(NoGrowth, IsSeenWhereThereIsNone) {
  EXPECT_EQ(verdict([&] {
              take(100);
              give_back();
            }),
            "");
}

TEST_F(NoGrowth, IsNoLeakWhereItHappensOnce) {
  int steps = 0;
  EXPECT_EQ(verdict([&] {
              if (++steps < 150) take(100);  // also after the warm-up
            }),
            "");
}

TEST_F(NoGrowth, OfTheSmallestAllocationIsFound) {
  const std::string why = verdict([&] { take(8); });
  EXPECT_NE(why.find("bytes of the heap more"), std::string::npos) << why;
  EXPECT_NE(why.find("never back in 16 rounds"), std::string::npos) << why;
}

TEST_F(NoGrowth, OfTheSmallestAllocationIsFoundAmongGrowthThatIsAllowed) {
  // AddressSanitizer counts the bytes that were asked for, so these are as many as the smallest chunk has.
  EXPECT_NE(verdict([&] { take(16); }, 15), "");
  int steps = 0;
  EXPECT_EQ(verdict(
                [&] {
                  if (++steps % 10 == 0) take(104);
                },
                15),
            "");
}

TEST_F(NoGrowth, OfOneStepInTenIsFound) {
  int steps = 0;
  EXPECT_NE(verdict([&] {
              if (++steps % 10 == 0) take(24);
            }),
            "");
}

TEST_F(NoGrowth, IsNoLeakWhereAllIsGivenBackNowAndThen) {
  int steps = 0;
  EXPECT_EQ(verdict([&] {
              take(10);
              if (++steps % 730 == 0) give_back();
            }),
            "");
}

TEST_F(NoGrowth, IsFoundUnderWhatIsGivenBackNowAndThen) {
  int steps = 0;
  std::vector<void*> lost;
  lost.reserve(10'000);
  EXPECT_NE(verdict([&] {
              take(10);
              if (++steps % 130 == 0) give_back();
              lost.push_back(std::malloc(40));
            }),
            "");
  for (void* p : lost) std::free(p);
}

// The allocator keeps the pages of freed blocks up to a limit, which it raises when a large block is freed.
TEST_F(NoGrowth, IsNoLeakWhereTheAllocatorKeepsWhatWasFreed) {
  std::free(std::malloc(30 << 20));
  std::size_t bytes = 0;
  EXPECT_EQ(verdict([&] {
              bytes = std::min<std::size_t>(bytes + (16 << 10), 28 << 20);
              auto* block = static_cast<volatile char*>(std::malloc(bytes));
              for (std::size_t at = 0; at < bytes; at += 4096) block[at] = 1;
              std::free(const_cast<char*>(block));
            }),
            "");
}

TEST_F(NoGrowth, OfMuchAtOnceIsFound) {
  int steps = 0;
  EXPECT_NE(verdict([&] {
              if (++steps == 170) take(1 << 20);
            }),
            "");
}

}  // namespace
}  // namespace lockstep::conformance
