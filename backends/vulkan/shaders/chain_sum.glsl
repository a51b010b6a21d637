// The chain sum of docs/lockstep_mode.md: products are added in ascending order of their positions in chunks of 256,
// and chunks are joined pairwise. Chunks that were joined wait in slots, one for each bit of their number, as in a
// binary counter. `slots` limits the chunks to 2^slots.
T chain_waiting[slots > 0 ? slots : 1];

// Takes the sum of chunk number `chunk`, which is not the last.
void chain_wait(uint chunk, T partial) {
  if (slots == 0) return;
  precise T sum = partial;
  int slot = 0;
  for (; (chunk >> slot & 1) != 0; ++slot) sum = chain_waiting[slot] + sum;
  chain_waiting[slot] = sum;
}

// The sum, given that of the last chunk.
T chain_total(uint chunk, T partial) {
  precise T sum = partial;
  if (slots == 0) return sum;
  for (int slot = 0; slot < slots; ++slot) {
    if ((chunk >> slot & 1) != 0) sum = chain_waiting[slot] + sum;
  }
  return sum;
}
