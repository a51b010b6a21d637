// The tile and the positions that a group of invocations computes (tiling.glsl).
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

// Whether a dispatch has a work item number `number`: there may be more groups than items.
bool is_work(Tiling t, uint64_t number) { return number < t.tiles * t.ranges; }
Tile tile_of(Tiling t, uint64_t number) {
  const uint64_t range = number / t.tiles;
  return tile_at(t, number - range * t.tiles, uint(range));
}

Target target_of(Params p, Tile tile, Batch batch) {
  Target result = result_of(p, batch);
  if (p.tiling.ranges > 1) {
    return Target(p.tiling.workspace + tile.part, p.tiling.width, 1, p.tiling.height, p.tiling.width);
  }
  return Target(result.at + (tile.row * result.row + tile.column * result.column), result.row, result.column,
                p.tiling.rows - tile.row, p.tiling.columns - tile.column);
}

void put(Target target, uint r, uint c, T sum) {
  if (r < target.rows && c < target.columns) (target.at + (r * target.row + c * target.column)).v = sum;
}

// What is added to a sum, if this dispatch covers all positions. Else +0, which changes nothing, as no sum is -0.
T added_here(Params p, Batch batch, uint column) {
  return p.tiling.ranges > 1 ? T(0) : added_to(p, batch, min(column, p.tiling.columns - 1));
}
