// Fused products: they are not rounded before they are added. Some compilers fuse with an instruction that flushes
// denormal numbers to zero, although they keep them in separate products and sums (NVIDIA's, whose Fma is FFMA.FTZ).
// There, a block of the result that may have lost denormals is computed again, and each product is rounded.
const uint rounds_products = 0, fuses = 1, fuses_guarded = 2;
layout(constant_id = 7) const uint fusing = rounds_products;
layout(constant_id = 10) const bool loses_denormals = false;  // as NVIDIA's does; for tests
#ifdef WITH_F64
const bool is_guarded = false;  // GPUs keep those of f64
#else
const bool is_guarded = fusing == fuses_guarded;
#endif

// A key that grows with the magnitude, except that zero has the largest key.
uint key_of(float x) { return (floatBitsToUint(x) << 1) - 1; }
const uint key_of_zero = 0xffffffffu, key_of_smallest_normal = 0x00ffffffu;
#ifdef WITH_F64
uint key_of(double x) { return key_of_zero; }
#endif
float magnitude_of(uint key) { return uintBitsToFloat(key / 2 + 1); }

T without_denormals(T x) { return loses_denormals && key_of(x) < key_of_smallest_normal ? T(0) : x; }

T plus_product(T sum, T left, T right, bool may_fuse) {
  if (may_fuse) {
    return without_denormals(fma(without_denormals(left), without_denormals(right), without_denormals(sum)));
  }
  precise T product = left * right;
  precise T result = sum + product;
  return result;
}

// The keys of the smallest nonzero operands so far.
struct SmallestOperands {
  uint left, right;
};
const SmallestOperands no_operands = SmallestOperands(key_of_zero, key_of_zero);
shared SmallestOperands group_smallest;
shared uint group_has_small_sums;

// For a sum of at least this magnitude, losing 2^-126 in each step is no more than a rounding error, whatever is added.
const float small = 7.8886090522101180541e-31;  // 2^-100

// A denormal operand loses its whole product. A sum loses at most 2^-126 when it is flushed, which does not matter if
// all terms, or their sum, are at least `small`.
bool may_have_lost(SmallestOperands smallest, bool has_small_sums) {
  if (smallest.left == key_of_zero || smallest.right == key_of_zero) return false;
  if (min(smallest.left, smallest.right) < key_of_smallest_normal) return true;
  precise const float smallest_term = magnitude_of(smallest.left) * magnitude_of(smallest.right);
  return has_small_sums && smallest_term < small;
}

// The same for the whole workgroup.
bool group_may_have_lost(SmallestOperands own, T sums[tile_elements]) {
  if (gl_LocalInvocationIndex == 0) {
    group_smallest = no_operands;
    group_has_small_sums = 0;
  }
  barrier();
  bool has_small_sums = false;
  UNROLL for (uint i = 0; i < tile_elements; ++i) has_small_sums = has_small_sums || abs(float(sums[i])) < small;
  atomicMin(group_smallest.left, own.left);
  atomicMin(group_smallest.right, own.right);
  if (has_small_sums) atomicOr(group_has_small_sums, 1u);
  barrier();
  return may_have_lost(group_smallest, group_has_small_sums != 0);
}
