// A stable radix sort of the numbers 0, 1 …, each by a key of its own, four bits per pass (kernels/sort.cpp). A pass is
// three dispatches: one counts each digit in each block, one computes where each digit of each block begins, and one
// moves.
struct Params {
  KEYS keys;       // by number
  Words from;      // the order so far, unused in the first pass
  uint64_t to;     // the order after the pass
  Words counts;    // digit after digit, block after block
  uint count;
  uint blocks;
  uint shift;      // of the digit in the key
  uint first_pass;
  uint flip;       // 8 if the digit includes the sign bit
  uint wide;       // 1: the order is written as i64
};
PUSHED_PARAMS(Params)

const uint digits = 16, items_each = 8, group_size = 128, block_size = items_each * group_size;

uint number_at(Params p, uint slot) { return p.first_pass != 0 ? slot : (p.from + slot).v; }
uint digit_of(Params p, uint number) { return (uint((p.keys + number).v >> p.shift) & 15u) ^ p.flip; }
