// Products on GPUs: a group of invocations computes a block of the result, ROWS x COLUMNS elements each, and shares
// what it loads, STEP positions at a time; the next ones are on their way while these are used. The rows and columns of an
// invocation lie in pieces of 4, a block's quarter apart, so that a subgroup reads no bank of shared memory twice.
layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint group_columns = 16;        // invocations beside each other
layout(constant_id = 5) const uint group_rows = 16;           // and below each other
layout(constant_id = 6) const int slots = 0;                  // for chunks that wait, as in chain_sum.glsl
layout(constant_id = 7) const uint chunk = 256;               // positions that are added one after the other
layout(constant_id = 8) const bool may_fuse = false;          // a product need not be rounded before it is added
layout(constant_id = 9) const bool left_runs_down = false;    // the left side's neighbours in memory are rows
layout(constant_id = 10) const bool right_runs_along = true;  // the right side's are columns

const uint tile_elements = ROWS * COLUMNS;
const uint group_size = group_rows * group_columns;
const uint height = ROWS * group_rows, width = COLUMNS * group_columns;
const uint left_loads = height * STEP / group_size, right_loads = width * STEP / group_size;

// Four more than needed: writes along the positions then meet different banks.
shared T left_side[STEP * (height + 4)];
shared T right_side[STEP * (width + 4)];

T waiting[(slots > 0 ? slots : 1) * tile_elements];

// Which line (row or column) and which of STEP positions an invocation's load number `load` is.
uint line_of(uint load, uint lines, bool lines_first) {
  const uint i = load * group_size + gl_LocalInvocationIndex;
  return lines_first ? i % lines : i / STEP;
}
uint step_of(uint load, uint lines, bool lines_first) {
  const uint i = load * group_size + gl_LocalInvocationIndex;
  return lines_first ? i / lines : i % STEP;
}
uint own_row(uint r) { return r / 4 * (4 * group_rows) + gl_LocalInvocationIndex / group_columns * 4 + r % 4; }
uint own_column(uint c) { return c / 4 * (4 * group_columns) + gl_LocalInvocationIndex % group_columns * 4 + c % 4; }

T plus_product(T sum, T left, T right) {
  if (may_fuse) return fma(left, right, sum);
  precise T product = left * right;
  precise T result = sum + product;
  return result;
}

struct Sides {
  Row rows[left_loads];
  Column columns[right_loads];
};

// Past the end both sides are zero, and a product of zeros changes no sum.
void fetch(Params p, Sides s, Tile tile, uint k, inout T left[left_loads], inout T right[right_loads]) {
  [[unroll]] for (uint i = 0; i < left_loads; ++i) {
    const uint own = k + step_of(i, height, left_runs_down);
    left[i] = own < tile.end ? left_element(p, s.rows[i], position_of(p, own)) : T(0);
  }
  [[unroll]] for (uint i = 0; i < right_loads; ++i) {
    const uint own = k + step_of(i, width, right_runs_along);
    right[i] = own < tile.end ? right_element(p, s.columns[i], position_of(p, own)) : T(0);
  }
}

void share(T left[left_loads], T right[right_loads]) {
  [[unroll]] for (uint i = 0; i < left_loads; ++i) {
    left_side[step_of(i, height, left_runs_down) * (height + 4) + line_of(i, height, left_runs_down)] = left[i];
  }
  [[unroll]] for (uint i = 0; i < right_loads; ++i) {
    right_side[step_of(i, width, right_runs_along) * (width + 4) + line_of(i, width, right_runs_along)] = right[i];
  }
}

void add_shared(inout T sums[tile_elements]) {
  [[unroll]] for (uint step = 0; step < STEP; ++step) {
    T left[ROWS], right[COLUMNS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) left[r] = left_side[step * (height + 4) + own_row(r)];
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) right[c] = right_side[step * (width + 4) + own_column(c)];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
      [[unroll]] for (uint c = 0; c < COLUMNS; ++c) {
        sums[r * COLUMNS + c] = plus_product(sums[r * COLUMNS + c], left[r], right[c]);
      }
    }
  }
}

void join_waiting(int slot, inout T sums[tile_elements]) {
  [[unroll]] for (uint i = 0; i < tile_elements; ++i) {
    precise T sum = waiting[slot * tile_elements + i] + sums[i];
    sums[i] = sum;
  }
}

// Chunk number `number` is done, and is not the last.
void close_chunk(uint number, inout T sums[tile_elements]) {
  int slot = 0;
  for (; (number >> slot & 1) != 0; ++slot) join_waiting(slot, sums);
  [[unroll]] for (uint i = 0; i < tile_elements; ++i) {
    waiting[slot * tile_elements + i] = sums[i];
    sums[i] = T(0);
  }
}

// One element without what is no term: not even multiplied by zero.
T sum_of_terms(Params p, Row row, Column column, Tile tile) {
  precise T sum = T(0);
  uint number = 0;
  for (uint k = tile.begin; k < tile.end; ++k) {
    Position at = position_of(p, k);
    if (has_term(p, row, at)) sum = plus_product(sum, left_element(p, row, at), right_element(p, column, at));
    if (slots > 0 && k + 1 < tile.end && (k + 1 - tile.begin) % chunk == 0) {
      int slot = 0;
      for (; (number >> slot & 1) != 0; ++slot) sum = waiting[slot] + sum;
      waiting[slot] = sum;
      sum = T(0);
      ++number;
    }
  }
  for (int slot = 0; slot < slots; ++slot) {
    if ((number >> slot & 1) != 0) sum = waiting[slot] + sum;
  }
  return sum;
}

void main() {
  RETURN_IF_FAILED;
  Params p = Params(push.params);
  if (!is_work(p.tiling, group_number())) return;
  const Tile tile = tile_of(p.tiling, group_number());
  Batch batch = batch_of(p, tile.batch);
  const uint last_row = p.tiling.rows - 1, last_column = p.tiling.columns - 1;
  Sides s;
  [[unroll]] for (uint i = 0; i < left_loads; ++i) {
    s.rows[i] = row_of(p, batch, min(tile.row + line_of(i, height, left_runs_down), last_row));
  }
  [[unroll]] for (uint i = 0; i < right_loads; ++i) {
    s.columns[i] = column_of(p, batch, min(tile.column + line_of(i, width, right_runs_along), last_column));
  }
  T sums[tile_elements], left[left_loads], right[right_loads];
  [[unroll]] for (uint i = 0; i < tile_elements; ++i) sums[i] = T(0);
  uint number = 0;
  fetch(p, s, tile, tile.begin, left, right);
  for (uint k = tile.begin; k < tile.end; k += STEP) {
    barrier();
    share(left, right);
    barrier();
    fetch(p, s, tile, k + STEP, left, right);
    add_shared(sums);
    if (slots > 0 && (k + STEP - tile.begin) % chunk == 0 && k + STEP < tile.end) close_chunk(number++, sums);
  }
  for (int slot = 0; slot < slots; ++slot) {
    if ((number >> slot & 1) != 0) join_waiting(slot, sums);
  }
  Target target = target_of(p, tile, batch);
  bool has_nan = false;
  [[unroll]] for (uint r = 0; r < ROWS; ++r) {
    [[unroll]] for (uint c = 0; c < COLUMNS; ++c) {
      precise T sum = sums[r * COLUMNS + c] + added_here(p, batch, tile.column + own_column(c));
      put(target, own_row(r), own_column(c), sum);
      has_nan = has_nan || isnan(sum);
    }
  }
  // What is no term was zero times something. If that is infinite, the sum is NaN: it is done again, with care.
  if (!may_lack_terms || !has_nan) return;
  [[dont_unroll]] for (uint i = 0; i < tile_elements; ++i) {
    const uint row = own_row(i / COLUMNS), column = own_column(i % COLUMNS);
    if (row >= target.rows || column >= target.columns) continue;
    precise T sum = sum_of_terms(p, row_of(p, batch, min(tile.row + row, last_row)),
                                 column_of(p, batch, min(tile.column + column, last_column)), tile);
    sum = sum + added_here(p, batch, tile.column + column);
    put(target, row, column, sum);
  }
}
