#include "backends/gpu/kernels/product_partition.h"

#include <algorithm>

#include "backends/gpu/ceil_div.h"

namespace gpu {
namespace {

constexpr std::int64_t joined_at_once = 256;  // vulkan/shaders/product_join.glsl
constexpr std::int64_t max_workspace = std::int64_t{64} << 20;

}  // namespace

std::uint32_t ranges_after_join(const Tiling& tiling) {
  return static_cast<std::uint32_t>(ceil_div(tiling.ranges, joined_at_once));
}

ProductPartition::ProductPartition(const ProductShape& s, const TileSize& tile, std::uint32_t bytes,
                                   const RangeLimits& limits)
    : shape(s),
      height(tile.height),
      width(tile.width),
      element_bytes(bytes),
      tiles_down(ceil_div(s.rows, tile.height)),
      tiles_right(ceil_div(s.columns, tile.width)) {
  choose_ranges(limits);
  const std::int64_t tile_bytes = ranges * height * width * element_bytes;
  tiles_at_once = std::max<std::int64_t>(1, ranges == 1 ? tiles() : std::min(tiles(), max_workspace / tile_bytes));
}

void ProductPartition::choose_ranges(const RangeLimits& limits) {
  const std::int64_t chunks = std::max<std::int64_t>(1, ceil_div(shape.depth, product_chunk));
  const std::int64_t wanted = std::min(ceil_div(limits.wanted, std::max<std::int64_t>(1, tiles())), chunks);
  const auto chunks_at = [](int n) { return std::int64_t{1} << n; };
  while (slots < limits.max_slots && chunks_at(slots) < chunks && ceil_div(chunks, chunks_at(slots + 1)) >= wanted) {
    ++slots;
  }
  range_length = product_chunk << slots;
  ranges = ceil_div(chunks, chunks_at(slots));
}

void ProductPartition::limit_to_one_tile(std::int64_t depth) {
  shape = {1, height, width, depth};
  tiles_down = tiles_right = tiles_at_once = ranges = 1;
  is_batch_first = false;
}

std::uint64_t ProductPartition::workspace_bytes() const {
  std::int64_t parts = 0;
  for (std::int64_t n = ranges; n > 1; n = ceil_div(n, joined_at_once)) parts += n;
  return static_cast<std::uint64_t>(parts * tiles_at_once * height * width * element_bytes);
}

Tiling ProductPartition::tiling(std::int64_t first, std::uint64_t workspace) const {
  Tiling t{};
  t.workspace = workspace;
  t.first = static_cast<std::uint64_t>(first);
  t.tiles = static_cast<std::uint64_t>(std::min(tiles_at_once, tiles() - first));
  t.height = static_cast<std::uint32_t>(height);
  t.width = static_cast<std::uint32_t>(width);
  t.tiles_down = static_cast<std::uint32_t>(tiles_down);
  t.tiles_right = static_cast<std::uint32_t>(tiles_right);
  t.batches = static_cast<std::uint32_t>(shape.batch);
  t.is_batch_first = is_batch_first;
  t.ranges = static_cast<std::uint32_t>(ranges);
  t.range_length = static_cast<std::uint32_t>(range_length);
  t.rows = static_cast<std::uint32_t>(shape.rows);
  t.columns = static_cast<std::uint32_t>(shape.columns);
  t.depth = static_cast<std::uint32_t>(shape.depth);
  t.joined = workspace + t.ranges * part_bytes(t);
  return t;
}

void ProductPartition::to_next_join(Tiling& t) const {
  t.ranges = ranges_after_join(t);
  t.workspace = t.joined;
  t.joined = t.workspace + t.ranges * part_bytes(t);
}

}  // namespace gpu
