// Products on devices where each lane's load is slow whatever its address, as on a CPU. An invocation computes ROWS x
// COLUMNS elements over one chunk from its own loads. The lanes of a subgroup are arranged in 2^log2_lanes_right
// columns.
layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint log2_lanes_right = 0;

const uint tile_elements = ROWS * COLUMNS;

struct Sides {
  Row rows[ROWS];
  Column columns[COLUMNS];
};

// Adds the products of all positions. If a position has no term, adds zero times something.
void add_products(Params p, Sides s, Tile tile, inout T sums[tile_elements]) {
  Position at = position_of(p, tile.begin);
  for (uint k = tile.begin; k < tile.end; ++k) {
    T right[COLUMNS];
    UNROLL for (uint c = 0; c < COLUMNS; ++c) right[c] = right_element(p, s.columns[c], at);
    UNROLL for (uint r = 0; r < ROWS; ++r) {
      const T left = left_element(p, s.rows[r], at);
      UNROLL for (uint c = 0; c < COLUMNS; ++c) {
        precise T product = left * right[c];
        precise T sum = sums[r * COLUMNS + c] + product;
        sums[r * COLUMNS + c] = sum;
      }
    }
    advance(p, at);
  }
}

// Computes one row of the tile from its terms only: other positions are skipped, not multiplied by zero.
void add_terms(Params p, Sides s, Tile tile, Row row, inout T sums[COLUMNS]) {
  UNROLL for (uint c = 0; c < COLUMNS; ++c) sums[c] = T(0);
  Position at = position_of(p, tile.begin);
  for (uint k = tile.begin; k < tile.end; ++k) {
    const T left = left_element(p, row, at);
    const bool is_term = has_term(p, row, at);
    UNROLL for (uint c = 0; c < COLUMNS; ++c) {
      precise T product = left * right_element(p, s.columns[c], at);
      precise T sum = sums[c] + product;
      sums[c] = is_term ? sum : sums[c];
    }
    advance(p, at);
  }
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  if (!is_work(p.tiling, group_number())) return;
  const Tile tile = tile_of(p.tiling, group_number());
  Batch batch = batch_of(p, tile.batch);
  const uint lane = gl_LocalInvocationIndex, lanes_right = 1 << log2_lanes_right;
  const uint down = (lane >> log2_lanes_right) * ROWS, right = lane & (lanes_right - 1);
  Sides s;
  UNROLL for (uint r = 0; r < ROWS; ++r) {
    s.rows[r] = row_of(p, batch, min(tile.row + down + r, p.tiling.rows - 1));
  }
  UNROLL for (uint c = 0; c < COLUMNS; ++c) {
    s.columns[c] = column_of(p, batch, min(tile.column + right + c * lanes_right, p.tiling.columns - 1));
  }
  T sums[tile_elements];
  UNROLL for (uint i = 0; i < tile_elements; ++i) sums[i] = T(0);
  add_products(p, s, tile, sums);
  Target target = target_of(p, tile, batch);
  T added[COLUMNS];
  bool has_nan = false;
  UNROLL for (uint c = 0; c < COLUMNS; ++c) {
    const uint column = right + c * lanes_right;
    added[c] = added_here(p, batch, tile.column + column);
    UNROLL for (uint r = 0; r < ROWS; ++r) {
      precise T sum = sums[r * COLUMNS + c] + added[c];
      put(target, down + r, column, sum);
      has_nan = has_nan || isnan(sums[r * COLUMNS + c]);
    }
  }
  // Positions without a term added zero times something. If that was infinite, the sum is NaN, so it is computed again
  // from the terms only. A loop without iterations skips this, not a branch, because lavapipe executes both sides of
  // one.
  for (uint r = 0; may_lack_terms && r < (has_nan ? ROWS : 0); ++r) {
    T terms[COLUMNS];
    add_terms(p, s, tile, row_of(p, batch, min(tile.row + down + r, p.tiling.rows - 1)), terms);
    UNROLL for (uint c = 0; c < COLUMNS; ++c) {
      precise T sum = terms[c] + added[c];
      put(target, down + r, right + c * lanes_right, sum);
    }
  }
}
