// Products that are not rounded before they are added. Some compilers fuse by an instruction that takes denormal numbers
// for zero although they keep them in products and in sums (NVIDIA's, whose Fma is FFMA.FTZ). There, a block of the
// result that may have lost some is computed again, and rounds each product.
const uint rounds_products = 0, fuses = 1, fuses_guarded = 2;
layout(constant_id = 7) const uint fusing = rounds_products;
layout(constant_id = 10) const bool loses_denormals = false;  // as NVIDIA's does; for tests
#ifdef WITH_F64
const bool is_guarded = false;  // GPUs keep those of f64
#else
const bool is_guarded = fusing == fuses_guarded;
#endif

// Grows with the magnitude; that of zero is the largest.
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

// What has been met so far: the keys of the smallest operands but zero.
struct Least {
  uint left, right;
};
const Least nothing_met = Least(key_of_zero, key_of_zero);
shared Least group_least;
shared uint group_has_small_sums;

// Losing 2^-126 each time changes no sum from here on by more than a rounding, whatever is added.
const float small = 7.8886090522101180541e-31;  // 2^-100

// A denormal operand, times anything, is lost as a whole. A sum is cut at 2^-126: where all terms are larger than
// `small`, or their sum is, that is no loss.
bool may_have_lost(Least least, bool has_small_sums) {
  if (least.left == key_of_zero || least.right == key_of_zero) return false;
  if (min(least.left, least.right) < key_of_smallest_normal) return true;
  precise const float smallest_term = magnitude_of(least.left) * magnitude_of(least.right);
  return has_small_sums && smallest_term < small;
}

// The same for all of the group.
bool group_may_have_lost(Least own, T sums[tile_elements]) {
  if (gl_LocalInvocationIndex == 0) {
    group_least = nothing_met;
    group_has_small_sums = 0;
  }
  barrier();
  bool has_small_sums = false;
  UNROLL for (uint i = 0; i < tile_elements; ++i) has_small_sums = has_small_sums || abs(float(sums[i])) < small;
  atomicMin(group_least.left, own.left);
  atomicMin(group_least.right, own.right);
  if (has_small_sums) atomicOr(group_has_small_sums, 1u);
  barrier();
  return may_have_lost(group_least, group_has_small_sums != 0);
}
