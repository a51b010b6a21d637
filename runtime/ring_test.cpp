#include "runtime/ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "runtime/counted_allocations.h"

namespace lockstep {
namespace {

std::vector<int> values_of(Ring<std::unique_ptr<int>>& ring) {
  std::vector<int> values;
  for (const std::unique_ptr<int>& element : ring) values.push_back(*element);
  return values;
}

TEST(Ring, GivesElementsInTheOrderInWhichTheyCame) {
  // Compared with the standard library's queue, over lengths at which the ring wraps and grows.
  Ring<std::unique_ptr<int>> ring;
  std::deque<int> expected;
  std::mt19937 random(7);
  for (int step = 0; step < 20000; ++step) {
    // Mostly longer in the first half, and mostly shorter in the second.
    const bool adds = random() % 5 < (step < 10000 ? 3u : 2u);
    if (adds) {
      ring.push_back(std::make_unique<int>(step));
      expected.push_back(step);
    } else if (!expected.empty()) {
      ASSERT_EQ(*ring.front(), expected.front());
      ring.pop_front();
      expected.pop_front();
    }
    ASSERT_EQ(ring.size(), expected.size());
    ASSERT_EQ(ring.empty(), expected.empty());
    if (expected.empty()) continue;
    ASSERT_EQ(*ring.front(), expected.front());
    ASSERT_EQ(*ring.back(), expected.back());
    const std::size_t middle = expected.size() / 2;
    ASSERT_EQ(*ring[middle], expected[middle]);
    if (step % 500 != 0) continue;
    ASSERT_EQ(values_of(ring), std::vector<int>(expected.begin(), expected.end()));
    std::vector<int> backwards;
    for (auto at = ring.rbegin(); at != ring.rend(); ++at) backwards.push_back(**at);
    ASSERT_EQ(backwards, std::vector<int>(expected.rbegin(), expected.rend()));
  }
}

TEST(Ring, DestroysWhatIsRemoved) {
  const auto counted = std::make_shared<int>(0);
  {
    Ring<std::shared_ptr<int>> ring;
    for (int i = 0; i < 40; ++i) ring.push_back(counted);  // it grows more than once
    EXPECT_EQ(counted.use_count(), 41);
    for (int i = 0; i < 15; ++i) ring.pop_front();
    EXPECT_EQ(counted.use_count(), 26);
    ring.clear();
    EXPECT_TRUE(ring.empty());
    EXPECT_EQ(counted.use_count(), 1);
    ring.push_back(counted);
    EXPECT_EQ(counted.use_count(), 2);
  }
  EXPECT_EQ(counted.use_count(), 1) << "the ring destroys what is still in it";
}

TEST(Ring, AllocatesNothingOnceItIsLongEnough) {
  const long at_first = allocations();
  Ring<int> ring;
  EXPECT_EQ(allocations(), at_first) << "an empty ring has no memory";
  for (int i = 0; i < 100; ++i) ring.push_back(i);
  EXPECT_GT(allocations(), at_first);
  ring.clear();
  const long before = allocations();
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 100; ++i) ring.push_back(i);
    for (int i = 0; i < 100; ++i) ring.pop_front();
  }
  EXPECT_EQ(allocations(), before);
}

}  // namespace
}  // namespace lockstep
