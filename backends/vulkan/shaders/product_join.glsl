// Joins the sums of ranges. An invocation joins up to 2^slots ranges of one element of the tiles. The last such
// dispatch writes the result.
layout(local_size_x = 64) in;
const int slots = 8;
#include "chain_sum.glsl"

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  Tiling t = p.tiling;
  const uint64_t part = t.tiles * (t.height * t.width), number = ITEM_NUMBER;
  const uint batches = (t.ranges + (1 << slots) - 1) >> slots;
  if (number >= part * batches) return;
  const uint batch = uint(number / part);
  const uint64_t item = number - batch * part;
  const uint first = batch << slots, last = min(first + (1 << slots), t.ranges) - 1;
  for (uint range = first; range < last; ++range) chain_add(range - first, (t.workspace + (range * part + item)).v);
  const T sum = chain_total(last - first, (t.workspace + (last * part + item)).v);
  if (batches > 1) {
    (t.joined + number).v = sum;
    return;
  }
  const uint64_t local = item / (t.height * t.width);
  const Tile tile = tile_at(t, local, 0);
  const uint element = uint(item - local * (t.height * t.width)), r = element / t.width, c = element - r * t.width;
  if (tile.row + r < t.rows && tile.column + c < t.columns) {
    Batch batch = batch_of(p, tile.batch);
    Target result = result_of(p, batch);
    precise T all = sum + added_to(p, batch, tile.column + c);
    (result.at + ((tile.row + r) * result.row + (tile.column + c) * result.column)).v = all;
  }
}
