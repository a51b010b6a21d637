// What products through shared memory have in common. Includers define tile_elements, the sums of an invocation.
layout(constant_id = 6) const uint chunk = 256;                // positions that are added sequentially
layout(constant_id = 8) const bool left_column_major = false;  // rows of the left operand are adjacent in memory
layout(constant_id = 9) const bool right_row_major = true;     // columns of the right operand are

#include "pending_chunks.glsl"

// Computes one element from its terms only: other positions are skipped, not multiplied by zero. This is rare, so it
// rounds each product in all modes: the trial of a pipeline that fuses does not cover it.
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
      for (; (number >> slot & 1) != 0; ++slot) sum = pending_sums[slot] + sum;
      pending_sums[slot] = sum;
      sum = T(0);
      ++number;
    }
  }
  for (int slot = 0; slot < slots; ++slot) {
    if ((number >> slot & 1) != 0) sum = pending_sums[slot] + sum;
  }
  return sum;
}

// Computes an element of the target again, from its terms only. Before, positions without a term added zero times
// something, and if that was infinite, the sum was NaN.
void put_terms(Params p, Batch batch, Tile tile, Target target, uint row, uint column) {
  if (row >= target.rows || column >= target.columns) return;
  precise T sum = sum_of_terms(p, row_of(p, batch, min(tile.row + row, p.tiling.rows - 1)),
                               column_of(p, batch, min(tile.column + column, p.tiling.columns - 1)), tile);
  sum = sum + added_here(p, batch, tile.column + column);
  put(target, row, column, sum);
}
