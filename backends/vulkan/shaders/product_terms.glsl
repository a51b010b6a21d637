// What products through shared memory have in common. Includers define tile_elements: sums of an invocation.
layout(constant_id = 6) const uint chunk = 256;               // positions that are added one after the other
layout(constant_id = 8) const bool left_runs_down = false;    // the left side's neighbours in memory are rows
layout(constant_id = 9) const bool right_runs_along = true;  // the right side's are columns

#include "waiting_chunks.glsl"

// One element without what is no term: not even multiplied by zero. Rare, so it rounds each product in all modes: whether
// products may be fused has been tried out for the others alone.
T sum_of_terms(Params p, Row row, Column column, Tile tile) {
  precise T sum = T(0);
  uint number = 0;
  for (uint k = tile.begin; k < tile.end; ++k) {
    Position at = position_of(p, k);
    if (has_term(p, row, at)) {
      precise T product = left_element(p, row, at) * right_element(p, column, at);
      sum = sum + product;
    }
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

// The element of the target in this row and column, again. Elsewhere, what is no term was zero times something; if that is
// infinite, the sum is NaN.
void put_terms(Params p, Batch batch, Tile tile, Target target, uint row, uint column) {
  if (row >= target.rows || column >= target.columns) return;
  precise T sum = sum_of_terms(p, row_of(p, batch, min(tile.row + row, p.tiling.rows - 1)),
                               column_of(p, batch, min(tile.column + column, p.tiling.columns - 1)), tile);
  sum = sum + added_here(p, batch, tile.column + column);
  put(target, row, column, sum);
}
