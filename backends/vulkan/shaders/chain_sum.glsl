// The chain sum of docs/lockstep_mode.md: in chunks of 256, products are added in ascending order of their positions;
// chunks are joined pairwise. As in a binary counter, the partial sums of joined chunks wait in slots, one for each bit
// of their number. `slots` limits the chunks to 2^slots.
T chain_pending[slots > 0 ? slots : 1];

// Adds the sum of chunk number `chunk`, which is not the last.
void chain_add(uint chunk, T partial) {
  if (slots == 0) return;
  precise T sum = partial;
  int slot = 0;
  for (; (chunk >> slot & 1) != 0; ++slot) sum = chain_pending[slot] + sum;
  chain_pending[slot] = sum;
}

// The total, given the sum of the last chunk, number `chunk`.
T chain_total(uint chunk, T partial) {
  precise T sum = partial;
  if (slots == 0) return sum;
  for (int slot = 0; slot < slots; ++slot) {
    if ((chunk >> slot & 1) != 0) sum = chain_pending[slot] + sum;
  }
  return sum;
}
