// The tile and the positions that a group of invocations computes (tiling.glsl).
struct Tile {
  uint row, column, batch;  // the first of the result
  uint begin, end;          // positions
  uint64_t part;            // where its sums go in the workspace
};

Tile tile_at(Tiling t, uint64_t local, uint range) {
  uint64_t number = t.first + local;
  uint batch = 0;
  if (t.is_batch_first != 0) {
    batch = uint(number % t.batches);
    number /= t.batches;
  }
  const uint64_t strip = number / t.tiles_down;
  if (t.is_batch_first == 0) batch = uint(strip / t.tiles_right);
  const uint begin = range * t.range_length;
  return Tile(uint(number - strip * t.tiles_down) * t.height, uint(strip % t.tiles_right) * t.width, batch,
              begin, t.depth - begin > t.range_length ? begin + t.range_length : t.depth,
              (range * t.tiles + local) * (t.height * t.width));
}

// Work number `number` of a dispatch; there may be more groups than work.
bool is_work(Tiling t, uint64_t number) { return number < t.tiles * t.ranges; }
Tile tile_of(Tiling t, uint64_t number) {
  const uint64_t range = number / t.tiles;
  return tile_at(t, number - range * t.tiles, uint(range));
}

// Where the sum of row `r` and column `c` of a tile goes.
void put(Params p, Tile tile, uint r, uint c, T sum) {
  if (p.tiling.ranges > 1) {
    (p.tiling.workspace + (tile.part + (r * p.tiling.width + c))).v = sum;
  } else if (tile.row + r < p.tiling.rows && tile.column + c < p.tiling.columns) {
    put_result(p, tile.batch, tile.row + r, tile.column + c, sum);
  }
}
