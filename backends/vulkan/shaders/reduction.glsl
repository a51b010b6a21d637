// The operations of a reduction; one of REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_ARGMAX is defined. A `Partial` is
// the partial result of some elements.
#include "number.glsl"

#ifdef REDUCE_SUM
#include "exact.glsl"
#define Partial T
#define ELEMENTS TS
#define ELEMENT T
#define ELEMENT4 T4
Partial identity() { return T(0); }
Partial join(Partial left, Partial right) {
  precise const Partial sum = left + right;
  return sum;
}
Partial with(Partial part, T element, uint64_t position) { return join(part, element); }
#define STORE_PARTIAL(to_, at_, part_, divisor_) (TS(to_) + uint64_t(at_)).v = mean_of(part_, divisor_)
// The sum; divided by the number of elements if the op is mean.
T mean_of(Partial sum, uint64_t divisor) {
#if defined(T_F32) || defined(T_F64)
  if (divisor != 0) return divide(sum, from_bits(divisor));
#endif
  return sum;
}

#else
#include "ordered.glsl"
#define ELEMENTS KEYS
#define ELEMENT KEY
#define ELEMENT4 KEY4
#if defined(REDUCE_ARGMAX)
struct Best {
  KEY key;
  uint64_t position;
};
#define Partial Best
Partial identity() { return Best(lowest, ~uint64_t(0)); }
// The larger one; the first of equal ones.
Partial join(Partial a, Partial b) {
  const bool second = b.key > a.key || (b.key == a.key && b.position < a.position);
  return Best(second ? b.key : a.key, second ? b.position : a.position);
}
Partial with(Partial part, KEY bits, uint64_t position) { return join(part, Best(key_of_equal_zeros(bits), position)); }
#define STORE_PARTIAL(to_, at_, part_, divisor_) (Longs(to_) + uint64_t(at_)).v = (part_).position

#elif defined(REDUCE_MAX)
#define Partial KEY
Partial identity() { return lowest; }
Partial join(Partial a, Partial b) { return max(a, b); }
Partial with(Partial part, KEY bits, uint64_t position) { return max(part, key_of(bits, highest)); }
#define STORE_PARTIAL(to_, at_, part_, divisor_) (KEYS(to_) + uint64_t(at_)).v = bits_of(part_, highest)

#else
#define Partial KEY
Partial identity() { return highest; }
Partial join(Partial a, Partial b) { return min(a, b); }
Partial with(Partial part, KEY bits, uint64_t position) { return min(part, key_of(bits, lowest)); }
#define STORE_PARTIAL(to_, at_, part_, divisor_) (KEYS(to_) + uint64_t(at_)).v = bits_of(part_, lowest)
#endif
#endif

// kernels/reduce.cpp
struct Params {
  uint64_t to;
  uint64_t from;
  uint64_t workspace;
  uint64_t outputs;
  uint64_t reduced;  // elements of each output
  uint64_t divisor;  // the number of elements as bits of T; 0: no mean
  uint outer_rank;
  uint inner_rank;
  int64_t inner_step;  // of the innermost reduced dimension
  // Of reduce_tile and reduce_join only.
  uint log_chunks_at_once;  // log2 of the chunks of one output in a tile, which has 8 chunks
  uint columns;             // 1: adjacent invocations take adjacent outputs
  uint segments;            // the number of parts in which each output is reduced
  uint chunks_per_segment;  // a power of two, or all
  uint wide;                // 1: an invocation loads four adjacent, aligned elements at once
};
PUSHED_PARAMS(Params)
// In memory follow the dimensions, without those of extent 1 and with neighbours merged.
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer WithWalk {
  Params before;
  uint64_t outer_dims[8];
  int64_t outer_from[8];
  int64_t outer_to[8];
  uint64_t inner_dims[8];
  int64_t inner_from[8];
};

// The offset of an output's first element, and below the offset at which the output is stored.
int64_t base_of(Params p, uint64_t output_number) {
  WithWalk walk = WithWalk(push.params);
  int64_t base;
  OFFSET_OF(base, output_number, p.outer_rank, walk.outer_dims, walk.outer_from);
  return base;
}
int64_t place_of(Params p, uint64_t output_number) {
  WithWalk walk = WithWalk(push.params);
  int64_t place;
  OFFSET_OF(place, output_number, p.outer_rank, walk.outer_dims, walk.outer_to);
  return place;
}
// The offset of an element from the first one of its output.
int64_t step_to(Params p, uint64_t position) {
  if (p.inner_rank <= 1) return int64_t(position) * p.inner_step;
  WithWalk walk = WithWalk(push.params);
  int64_t at;
  OFFSET_OF(at, position, p.inner_rank, walk.inner_dims, walk.inner_from);
  return at;
}

layout(buffer_reference, scalar, buffer_reference_align = 16) buffer Fours { ELEMENT4 v; };

// Partial results in the workspace.
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Partials { Partial v; };

#include "pairwise.glsl"
