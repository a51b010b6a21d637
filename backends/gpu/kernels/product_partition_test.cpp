#include "backends/gpu/kernels/product_partition.h"

#include <gtest/gtest.h>

namespace gpu {
namespace {

constexpr TileSize tile{64, 32};
constexpr std::uint32_t f32_bytes = 4;

TEST(ProductPartition, covers_the_result_with_tiles) {
  const ProductPartition p({3, 100, 65, 256}, tile, f32_bytes, {1, 5});
  EXPECT_EQ(p.tiles_down, 2);
  EXPECT_EQ(p.tiles_right, 3);
  EXPECT_EQ(p.tiles(), 18);
  EXPECT_EQ(p.ranges, 1);
  EXPECT_EQ(p.tiles_at_once, 18);
  EXPECT_EQ(p.workspace_bytes(), 0u);
}

TEST(ProductPartition, splits_long_sums_of_few_tiles_into_ranges_of_2_to_the_n_chunks) {
  // 40 chunks. 10 ranges of 4 chunks are enough for one tile; 5 ranges of 8 would be too few.
  const ProductPartition p({1, 64, 32, 40 * 256 - 1}, tile, f32_bytes, {8, 5});
  EXPECT_EQ(p.slots, 2);
  EXPECT_EQ(p.range_length, 4 * 256);
  EXPECT_EQ(p.ranges, 10);
  EXPECT_EQ(p.workspace_bytes(), 10u * 64 * 32 * f32_bytes);
  // With 8 tiles nothing needs to be split, but a range has at most 2^5 chunks.
  EXPECT_EQ(ProductPartition({8, 64, 32, 40 * 256}, tile, f32_bytes, {8, 5}).ranges, 2);
  EXPECT_EQ(ProductPartition({8, 64, 32, 40 * 256}, tile, f32_bytes, {8, 6}).ranges, 1);
  // Not even one chunk.
  EXPECT_EQ(ProductPartition({1, 64, 32, 0}, tile, f32_bytes, {8, 5}).ranges, 1);
}

TEST(ProductPartition, joins_many_ranges_in_several_steps) {
  const ProductPartition p({1, 64, 32, 300 * 256}, tile, f32_bytes, {0, 0});
  EXPECT_EQ(p.ranges, 300);
  EXPECT_EQ(p.workspace_bytes(), (300u + 2u) * 64 * 32 * f32_bytes);
  Tiling t = p.tiling(0, 1000);
  EXPECT_EQ(t.tiles, 1u);
  EXPECT_EQ(t.joined, 1000 + 300 * p.part_bytes(t));
  p.to_next_join(t);
  EXPECT_EQ(t.ranges, 2u);
  EXPECT_EQ(t.workspace, 1000 + 300 * p.part_bytes(t));
  EXPECT_EQ(ranges_after_join(t), 1u);
}

TEST(ProductPartition, limits_the_workspace) {
  const ProductPartition p({1, 64 * 1000, 32 * 10, 64 * 256}, tile, f32_bytes, {0, 0});
  EXPECT_LE(p.workspace_bytes(), 64u << 20);
  EXPECT_GT(p.tiles_at_once, 1);
  EXPECT_LT(p.tiles_at_once, p.tiles());
  const std::int64_t last = p.tiles() / p.tiles_at_once * p.tiles_at_once;
  EXPECT_EQ(p.tiling(last, 0).tiles, static_cast<std::uint64_t>(p.tiles() - last));
}

TEST(ProductPartition, can_become_that_of_one_tile) {
  ProductPartition p({2, 100, 100, 100 * 256}, tile, f32_bytes, {1000, 5});
  p.limit_to_one_tile(40);
  EXPECT_EQ(p.tiles(), 1);
  EXPECT_EQ(p.shape.rows, tile.height);
  EXPECT_EQ(p.shape.columns, tile.width);
  EXPECT_EQ(p.shape.depth, 40);
  EXPECT_EQ(p.workspace_bytes(), 0u);
}

}  // namespace
}  // namespace gpu
