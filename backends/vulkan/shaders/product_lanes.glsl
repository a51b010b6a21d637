// Products on devices where each lane's load is slow and lanes exchange values cheaply, as on a CPU: a subgroup computes
// ROWS rows of COLUMNS columns for each lane, over one chunk. A lane loads one position of the left rows and hands it to
// all lanes when its turn comes; of the right side it loads its own columns. Subgroups share nothing: there is no barrier.
layout(local_size_x_id = 0) in;

const uint tile_elements = ROWS * COLUMNS;

struct Sides {
  Row rows[ROWS];
  Column columns[COLUMNS];
};

// Adds the products of the positions from `begin` to `end`. `careful`: terms that are left out are not even multiplied by
// zero.
void add_products(Params p, Sides s, uint begin, uint end, const bool careful, inout T sums[tile_elements]) {
  [[unroll]] for (uint i = 0; i < tile_elements; ++i) sums[i] = begin < end ? T(0) : sums[i];
  for (uint k = begin; k < end; k += gl_SubgroupSize) {
    LeftPosition at = left_position(p, min(k + gl_SubgroupInvocationID, end - 1));
    T left[ROWS];
    uint is_term[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
      left[r] = left_element(p, s.rows[r], at);
      if (careful) is_term[r] = has_term(p, s.rows[r], at) ? 1 : 0;
    }
    const uint steps = min(gl_SubgroupSize, end - k);
    for (uint step = 0; step < steps; ++step) {
      const RightPosition right_at = right_position(p, k + step);
      T right[COLUMNS];
      [[unroll]] for (uint c = 0; c < COLUMNS; ++c) right[c] = right_element(p, s.columns[c], right_at);
      [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        const T of_row = subgroupBroadcast(left[r], step);
        const bool adds = careful ? subgroupBroadcast(is_term[r], step) != 0 : true;
        [[unroll]] for (uint c = 0; c < COLUMNS; ++c) {
          precise T product = of_row * right[c];
          precise T sum = sums[r * COLUMNS + c] + product;
          sums[r * COLUMNS + c] = adds ? sum : sums[r * COLUMNS + c];
        }
      }
    }
  }
}

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  const uint lanes = gl_SubgroupSize, own = gl_SubgroupInvocationID;
  if (!is_work(p.tiling, group_number())) return;
  const Tile tile = tile_of(p.tiling, group_number());
  Sides s;
  [[unroll]] for (uint r = 0; r < ROWS; ++r) s.rows[r] = row_of(p, tile, min(tile.row + r, p.tiling.rows - 1));
  [[unroll]] for (uint c = 0; c < COLUMNS; ++c) {
    s.columns[c] = column_of(p, tile, min(tile.column + own + c * lanes, p.tiling.columns - 1));
  }
  T sums[tile_elements];
  [[unroll]] for (uint i = 0; i < tile_elements; ++i) sums[i] = T(0);
  add_products(p, s, tile.begin, tile.end, false, sums);
  // A term that is left out was 0 times something. If that is infinite, the sum is NaN: it is done again, with care.
  if (may_lack_terms) {
    bool again = false;
    [[unroll]] for (uint i = 0; i < tile_elements; ++i) again = again || isnan(sums[i]);
    // A loop of no rounds rather than a branch: lavapipe goes through both sides of a branch.
    add_products(p, s, tile.begin, subgroupAny(again) ? tile.end : tile.begin, true, sums);
  }
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) put(p, tile, r, own + c * lanes, sums[r * COLUMNS + c]);
  }
}
