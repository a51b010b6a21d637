// softmax and related ops (kernels/softmax.cpp): the steps of their decompositions, row by row. One of SOFTMAX,
// LOG_SOFTMAX, SPARSE_CROSS_ENTROPY, CROSS_ENTROPY is defined, and one of T_F32, T_F64.
#include "number.glsl"
#include "ordered.glsl"
#include "strided.glsl"
#include "scalar.glsl"
#include "exact.glsl"

struct Params {
  uint64_t to;
  uint64_t from;
  uint64_t beside;  // labels or targets
  uint64_t rows;
  uint64_t extent;  // elements of a row
  uint64_t step;    // from one element to the next
  uint log_chunks_at_once;  // for softmax_rows: log2 of the chunks of one row in a tile
  uint wide_labels;         // 1: labels are i64
};
PUSHED_PARAMS(Params)

#ifdef T_F64
T exp_of(T x) { return exp_f64(x); }
T log_of(T x) { return log_f64(x); }
T number_of(KEY bits) { return from_bits(uint64_t(bits)); }
T negative(T x) { return from_bits(packUint2x32(unpackDouble2x32(x)) ^ 0x8000000000000000ul); }
const uint64_t nan_as_bits = 0x7ff8000000000000ul, less_than_all_as_bits = 0xfff0000000000000ul;
#else
T exp_of(T x) { return exp_f32(x); }
T log_of(T x) { return log_f32(x); }
T number_of(KEY bits) { return intBitsToFloat(bits); }
T negative(T x) { return uintBitsToFloat(floatBitsToUint(x) ^ 0x80000000u); }
const uint64_t nan_as_bits = 0x7fc00000ul, less_than_all_as_bits = 0xff800000ul;
#endif

#define Partial T
Partial identity() { return T(0); }
Partial join(Partial left, Partial right) {
  precise const Partial sum = left + right;
  return sum;
}
#include "pairwise.glsl"

uint64_t first_of_row(Params p, uint64_t row) {
  uint64_t before = row;
  const uint64_t within = take_digit(before, p.step);
  return before * p.extent * p.step + within;
}

KEY key_at(Params p, uint64_t at) { return key_of((KEYS(p.from) + at).v, highest); }
T shifted_at(Params p, uint64_t at, T largest) {
  precise const T shifted = (TS(p.from) + at).v - largest;
  return shifted;
}
T log_probability_at(Params p, uint64_t at, T largest, T log_total) {
  precise const T result = shifted_at(p, at, largest) - log_total;
  return result;
}

#ifdef CROSS_ENTROPY
T weighted_at(Params p, uint64_t at, T largest, T log_total) {
  const T log_p = log_probability_at(p, at, largest, log_total), target = (TS(p.beside) + at).v;
  precise const T term = log_p * target;
  // 0 times -infinity is taken as 0.
  return target == T(0) && log_p == from_bits(less_than_all_as_bits) ? T(0) : term;
}
#endif

#ifdef SPARSE_CROSS_ENTROPY
// The negated sum of the picked logarithm and of zeros: a loss of zero is therefore -0, never +0.
void store_loss(Params p, uint64_t row, T largest, T log_total) {
  // The sign is tested before widening: Mesa 22.3 miscompiles comparisons of a widened int with a constant.
  uint64_t label;
  bool inside;
  if (p.wide_labels != 0) {
    inside = (Int64s(p.beside) + row).v >= 0;
    label = uint64_t((Int64s(p.beside) + row).v);
  } else {
    inside = (Ints(p.beside) + row).v >= 0;
    label = (Words(p.beside) + row).v;
  }
  T loss = from_bits(nan_as_bits);
  if (inside && label < p.extent) {
    loss = negative(join(identity(), log_probability_at(p, first_of_row(p, row) + label * p.step, largest, log_total)));
  }
  (TS(p.to) + row).v = loss;
}
#endif
