// A workgroup of at least 64 that reduces 8 chunks of 32 lanes each at once. Includers define `Partial` and join as for
// pairwise.glsl.

const uint slots = 8;
shared Partial lanes[slots][33];  // one of padding, because columns of a power of two would share a bank
shared Partial chunk_parts[slots];

// Joins the lanes of each slot by halving into chunk_parts: two halvings in the first step, three in the second.
void join_lanes(uint t) {
  barrier();
  if (t < slots * 8) {
    const uint s = t / 8, l = t % 8;
    lanes[s][l] = join(join(lanes[s][l], lanes[s][l + 16]), join(lanes[s][l + 8], lanes[s][l + 24]));
  }
  barrier();
  if (t < slots) {
    const Partial even = join(join(lanes[t][0], lanes[t][4]), join(lanes[t][2], lanes[t][6]));
    const Partial odd = join(join(lanes[t][1], lanes[t][5]), join(lanes[t][3], lanes[t][7]));
    chunk_parts[t] = join(even, odd);
  }
  barrier();
}
