// Products with one invocation for each element of the result and range of positions: tiles are 1 x 1.
layout(local_size_x = 64) in;
layout(constant_id = 0) const int slots = 0;
#include "chain_sum.glsl"

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  const uint64_t number = ITEM_NUMBER;
  if (!is_work(p.tiling, number)) return;
  const Tile tile = tile_of(p.tiling, number);
  Batch batch = batch_of(p, tile.batch);
  uint chunk = 0, k = tile.begin;
  for (; tile.end - k > 256; k += 256, ++chunk) chain_add(chunk, chunk_sum(p, batch, tile, k, k + 256));
  precise T sum = chain_total(chunk, chunk_sum(p, batch, tile, k, tile.end));
  sum = sum + added_here(p, batch, tile.column);
  put(target_of(p, tile, batch), 0, 0, sum);
}
