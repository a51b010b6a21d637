// Products of few rows or few columns in fast mode, if positions are adjacent in memory: the lanes of a subgroup take
// one position each, for ROWS x COLUMNS elements, and a subgroup reduction adds their sums.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
layout(local_size_x = 128) in;

const uint tile_elements = ROWS * COLUMNS;

void add_own_positions(Params p, Batch batch, Tile tile, inout T sums[tile_elements]) {
  Row rows[ROWS];
  Column columns[COLUMNS];
  UNROLL for (uint r = 0; r < ROWS; ++r) rows[r] = row_of(p, batch, min(tile.row + r, p.tiling.rows - 1));
  UNROLL for (uint c = 0; c < COLUMNS; ++c) {
    columns[c] = column_of(p, batch, min(tile.column + c, p.tiling.columns - 1));
  }
  for (uint k = tile.begin + gl_SubgroupInvocationID; k < tile.end; k += gl_SubgroupSize) {
    const Position at = position_of(p, k);
    T right[COLUMNS];
    UNROLL for (uint c = 0; c < COLUMNS; ++c) right[c] = right_element(p, columns[c], at);
    UNROLL for (uint r = 0; r < ROWS; ++r) {
      const T left = left_element(p, rows[r], at);
      UNROLL for (uint c = 0; c < COLUMNS; ++c) {
        sums[r * COLUMNS + c] = fma(left, right[c], sums[r * COLUMNS + c]);
      }
    }
  }
}

void compute(Params p, Tile tile) {
  Batch batch = batch_of(p, tile.batch);
  T sums[tile_elements];
  UNROLL for (uint i = 0; i < tile_elements; ++i) sums[i] = T(0);
  add_own_positions(p, batch, tile, sums);
  Target target = target_of(p, tile, batch);
  UNROLL for (uint i = 0; i < tile_elements; ++i) {
    precise const T sum = subgroupAdd(sums[i]) + added_here(p, batch, tile.column + i % COLUMNS);
    if (gl_SubgroupInvocationID == i % gl_SubgroupSize) put(target, i / COLUMNS, i % COLUMNS, sum);
  }
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  // The host has dispatched workgroups for one tile per subgroup.
  const uint64_t number = uint64_t(group_number()) * gl_NumSubgroups + gl_SubgroupID;
  if (is_work(p.tiling, number)) compute(p, tile_of(p.tiling, number));
}
