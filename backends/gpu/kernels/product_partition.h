// How a matrix product, or an op as one, is split: tiles of the result, and ranges of the positions (of the reduced
// dimension), so that small results with long sums keep a device busy too. Sums have the order of lockstep mode: a
// range has 2^n chunks, so that it is a subtree of the tree in which chunks are joined.
#pragma once

#include <cstdint>

namespace gpu {

constexpr std::int64_t product_chunk = 256;  // positions that are added sequentially; docs/lockstep_mode.md

/// The shape of a batched matrix product, or of an op as one.
struct ProductShape {
  std::int64_t batch, rows, columns, depth;
};

struct TileSize {
  std::int64_t height, width;
};

/// Ranges are as long as possible, at most 2^max_slots chunks, while tiles times ranges are at least `wanted`.
struct RangeLimits {
  std::int64_t wanted;
  int max_slots;
};

/// The tiles of one dispatch, as kernels get them. They have the same layout (vulkan/shaders/tiling.glsl). If there are
/// several ranges, their sums go to the workspace, and further dispatches join them.
struct Tiling {
  std::uint64_t workspace, joined;  // addresses: the sums of ranges, and those of the next join unless it is the last
  std::uint64_t first, tiles;
  std::uint32_t height, width, tiles_down, tiles_right, batches, is_batch_first;
  std::uint32_t ranges, range_length, rows, columns, depth;
};

/// How many ranges a join leaves.
std::uint32_t ranges_after_join(const Tiling& tiling);

struct ProductPartition {
  ProductPartition(const ProductShape& shape, const TileSize& tile, std::uint32_t element_bytes,
                   const RangeLimits& limits);

  ProductShape shape;
  std::int64_t height, width;  // of a tile
  std::uint32_t element_bytes;
  std::int64_t tiles_down, tiles_right;
  int slots = 0;  // log2 of the chunks in a range
  std::int64_t ranges, range_length;
  std::int64_t tiles_at_once;   // in one dispatch; limits the size of the workspace
  bool is_batch_first = false;  // the batch index of tiles varies fastest, not the row

  /// Makes this the partition of a product of one tile and `depth` positions.
  void limit_to_one_tile(std::int64_t depth);

  std::int64_t tiles() const { return shape.batch * tiles_down * tiles_right; }
  std::uint64_t workspace_bytes() const;

  /// The dispatch that computes up to `tiles_at_once` tiles from `first`.
  Tiling tiling(std::int64_t first, std::uint64_t workspace) const;
  /// The bytes of one range's sums.
  std::uint64_t part_bytes(const Tiling& t) const { return t.tiles * t.height * t.width * element_bytes; }
  /// From a join to the next one.
  void to_next_join(Tiling& t) const;

 private:
  void choose_ranges(const RangeLimits& limits);
};

}  // namespace gpu
