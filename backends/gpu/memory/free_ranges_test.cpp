#include "backends/gpu/memory/free_ranges.h"

#include <gtest/gtest.h>

namespace gpu {
namespace {

TEST(FreeRanges, hand_out_the_first_range_that_is_long_enough) {
  FreeRanges ranges(100);
  EXPECT_EQ(ranges.take(30), 0u);
  EXPECT_EQ(ranges.take(50), 30u);
  EXPECT_EQ(ranges.take(21), std::nullopt);
  ranges.give_back(0, 30);
  EXPECT_EQ(ranges.take(10), 0u);
  EXPECT_EQ(ranges.take(20), 10u);
  EXPECT_EQ(ranges.take(20), 80u);
  EXPECT_EQ(ranges.take(1), std::nullopt);
}

TEST(FreeRanges, join_ranges_that_adjoin) {
  FreeRanges ranges(90);
  for (int i = 0; i < 3; ++i) ranges.take(30);
  ranges.give_back(0, 30);
  ranges.give_back(60, 30);
  EXPECT_EQ(ranges.take(31), std::nullopt);
  EXPECT_FALSE(ranges.all_free());
  ranges.give_back(30, 30);  // joins both neighbours
  EXPECT_TRUE(ranges.all_free());
  EXPECT_EQ(ranges.take(90), 0u);
  EXPECT_FALSE(ranges.all_free());
}

}  // namespace
}  // namespace gpu
