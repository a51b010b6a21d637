// Products on GPUs: a workgroup of GROUP_ROWS x GROUP_COLUMNS invocations computes a block of the result, ROWS x
// COLUMNS elements per invocation. It loads STEP positions at a time into shared memory; the loads of the next ones are
// in flight while these are used. The rows and columns of an invocation are in runs of 4, so that a subgroup reads
// shared memory without bank conflicts.
layout(local_size_x = GROUP_ROWS * GROUP_COLUMNS) in;
const uint tile_elements = ROWS * COLUMNS;
#include "product_terms.glsl"
#include "product_fusing.glsl"

const uint group_size = GROUP_ROWS * GROUP_COLUMNS;
const uint height = ROWS * GROUP_ROWS, width = COLUMNS * GROUP_COLUMNS;
const uint left_loads = height * STEP / group_size, right_loads = width * STEP / group_size;

// Lines are in runs of 4, as an invocation reads them. One run of padding avoids bank conflicts of writes along the
// positions.
const uint left_pieces = height / 4 + 1, right_pieces = width / 4 + 1;
shared T4 left_side[STEP * left_pieces];
shared T4 right_side[STEP * right_pieces];

// The line (row or column) and the position (below STEP) that an invocation's load number `load` loads.
uint line_of(uint load, uint lines, bool lines_first) {
  const uint i = load * group_size + gl_LocalInvocationIndex;
  return lines_first ? i % lines : i / STEP;
}
uint step_of(uint load, uint lines, bool lines_first) {
  const uint i = load * group_size + gl_LocalInvocationIndex;
  return lines_first ? i / lines : i % STEP;
}
uint own_row_piece(uint r) { return r / 4 * GROUP_ROWS + gl_LocalInvocationIndex / GROUP_COLUMNS; }
uint own_column_piece(uint c) { return c / 4 * GROUP_COLUMNS + gl_LocalInvocationIndex % GROUP_COLUMNS; }
uint own_row(uint r) { return own_row_piece(r) * 4 + r % 4; }
uint own_column(uint c) { return own_column_piece(c) * 4 + c % 4; }

struct Sides {
  Row rows[left_loads];
  Column columns[right_loads];
};

// Past the end both operands are zero, and a product of zeros changes no sum.
void fetch(Params p, Sides s, Tile tile, uint k, inout T left[left_loads], inout T right[right_loads]) {
  UNROLL for (uint i = 0; i < left_loads; ++i) {
    const uint own = k + step_of(i, height, left_column_major);
    left[i] = own < tile.end ? left_element(p, s.rows[i], position_of(p, own)) : T(0);
  }
  UNROLL for (uint i = 0; i < right_loads; ++i) {
    const uint own = k + step_of(i, width, right_row_major);
    right[i] = own < tile.end ? right_element(p, s.columns[i], position_of(p, own)) : T(0);
  }
}

void share(T left[left_loads], T right[right_loads]) {
  UNROLL for (uint i = 0; i < left_loads; ++i) {
    const uint line = line_of(i, height, left_column_major), step = step_of(i, height, left_column_major);
    left_side[step * left_pieces + line / 4][line % 4] = left[i];
  }
  UNROLL for (uint i = 0; i < right_loads; ++i) {
    const uint line = line_of(i, width, right_row_major), step = step_of(i, width, right_row_major);
    right_side[step * right_pieces + line / 4][line % 4] = right[i];
  }
}

void note_smallest(T left[left_loads], T right[right_loads], inout SmallestOperands smallest) {
  UNROLL for (uint i = 0; i < left_loads; ++i) smallest.left = min(smallest.left, key_of(left[i]));
  UNROLL for (uint i = 0; i < right_loads; ++i) smallest.right = min(smallest.right, key_of(right[i]));
}

void add_shared(inout T sums[tile_elements], bool may_fuse) {
  UNROLL for (uint step = 0; step < STEP; ++step) {
    T4 left[ROWS / 4], right[COLUMNS / 4];
    UNROLL for (uint r = 0; r < ROWS; r += 4) left[r / 4] = left_side[step * left_pieces + own_row_piece(r)];
    UNROLL for (uint c = 0; c < COLUMNS; c += 4) right[c / 4] = right_side[step * right_pieces + own_column_piece(c)];
    UNROLL for (uint r = 0; r < ROWS; ++r) {
      UNROLL for (uint c = 0; c < COLUMNS; ++c) {
        sums[r * COLUMNS + c] = plus_product(sums[r * COLUMNS + c], left[r / 4][r % 4], right[c / 4][c % 4], may_fuse);
      }
    }
  }
}

// Computes the sums over all of the tile's positions.
void add_up(Params p, Sides s, Tile tile, bool may_fuse, out T sums[tile_elements], inout SmallestOperands smallest) {
  T left[left_loads], right[right_loads];
  UNROLL for (uint i = 0; i < tile_elements; ++i) sums[i] = T(0);
  uint number = 0;
  fetch(p, s, tile, tile.begin, left, right);
  for (uint k = tile.begin; k < tile.end; k += STEP) {
    barrier();
    share(left, right);
    if (is_guarded && may_fuse) note_smallest(left, right, smallest);
    barrier();
    fetch(p, s, tile, k + STEP, left, right);
    add_shared(sums, may_fuse);
    if (slots > 0 && (k + STEP - tile.begin) % chunk == 0 && k + STEP < tile.end) close_chunk(number++, sums);
  }
  close_last_chunk(number, sums);
}

void main() {
  RETURN_IF_FAILED;
  Params p = load_params();
  if (!is_work(p.tiling, group_number())) return;
  const Tile tile = tile_of(p.tiling, group_number());
  Batch batch = batch_of(p, tile.batch);
  const uint last_row = p.tiling.rows - 1, last_column = p.tiling.columns - 1;
  Sides s;
  UNROLL for (uint i = 0; i < left_loads; ++i) {
    s.rows[i] = row_of(p, batch, min(tile.row + line_of(i, height, left_column_major), last_row));
  }
  UNROLL for (uint i = 0; i < right_loads; ++i) {
    s.columns[i] = column_of(p, batch, min(tile.column + line_of(i, width, right_row_major), last_column));
  }
  T sums[tile_elements];
  SmallestOperands smallest = no_operands;
  add_up(p, s, tile, fusing != rounds_products, sums, smallest);
  if (is_guarded && group_may_have_lost(smallest, sums)) add_up(p, s, tile, false, sums, smallest);
  Target target = target_of(p, tile, batch);
  bool has_nan = false;
  UNROLL for (uint r = 0; r < ROWS; ++r) {
    UNROLL for (uint c = 0; c < COLUMNS; ++c) {
      precise T sum = sums[r * COLUMNS + c] + added_here(p, batch, tile.column + own_column(c));
      put(target, own_row(r), own_column(c), sum);
      has_nan = has_nan || isnan(sum);
    }
  }
  if (!may_lack_terms || !has_nan) return;
  [[dont_unroll]] for (uint i = 0; i < tile_elements; ++i) {
    put_terms(p, batch, tile, target, own_row(i / COLUMNS), own_column(i % COLUMNS));
  }
}
