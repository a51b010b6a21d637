// Sums of chunks that wait to be joined pairwise, as in chain_sum.glsl, for tile_elements sums at once. There is a slot
// for each bit of the chunks' number. Includers define tile_elements.
layout(constant_id = 5) const int slots = 0;

T pending_sums[(slots > 0 ? slots : 1) * tile_elements];

void join_pending(int slot, inout T sums[tile_elements]) {
  UNROLL for (uint i = 0; i < tile_elements; ++i) {
    precise T sum = pending_sums[slot * tile_elements + i] + sums[i];
    sums[i] = sum;
  }
}

// Called when chunk number `number`, which is not the last, is done.
void close_chunk(uint number, inout T sums[tile_elements]) {
  int slot = 0;
  for (; (number >> slot & 1) != 0; ++slot) join_pending(slot, sums);
  UNROLL for (uint i = 0; i < tile_elements; ++i) {
    pending_sums[slot * tile_elements + i] = sums[i];
    sums[i] = T(0);
  }
}

// Called when the last chunk, number `number`, is done. `sums` become the totals.
void close_last_chunk(uint number, inout T sums[tile_elements]) {
  for (int slot = 0; slot < slots; ++slot) {
    if ((number >> slot & 1) != 0) join_pending(slot, sums);
  }
}
