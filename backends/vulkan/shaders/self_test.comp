#version 460
// Counts the operands for which the device's floating-point results differ from those of integer arithmetic.
#include "common.glsl"
#include "exact.glsl"

layout(local_size_x = 256) in;

struct Counts {
  uint divisions, roots, comparisons, conversions, products, sums, fused_products, divisions_64, roots_64;
};
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer InMemory { Counts wrong; };
PUSH_CONSTANTS(InMemory counts;);

// Mixes the bits of a number (the finaliser of MurmurHash3, by Austin Appleby).
uint mixed(uint x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// Half of the operands are random bits. The other half have random mantissas, and exponents such that results are often
// near the midpoint of two numbers or near the smallest numbers.
float operand(uint n) {
  const uint bits = mixed(n);
  if ((n & 1u) == 0) return uintBitsToFloat(bits);
  return uintBitsToFloat((bits & 0x807fffffu) | ((n & 2u) == 0 ? 0u : 0x3f000000u));
}

bool differs(float a, float b) {
  const uint x = floatBitsToUint(a), y = floatBitsToUint(b);
  const bool both_nan = (x & 0x7fffffffu) > infinity_bits && (y & 0x7fffffffu) > infinity_bits;
  return x != y && !both_nan;
}

bool compares_wrong(float a, float b) {
  return (a < b) != is_less_exactly(a, b) || (a == b) != is_equal_exactly(a, b) ||
         (a <= b) != (is_less_exactly(a, b) || is_equal_exactly(a, b)) || (a == 0) != is_equal_exactly(a, 0);
}

bool converts_wrong(float a, float b) {
#ifdef WITH_F64
  precise const double product = to_double_exactly(a) * to_double_exactly(b);  // exact, to be rounded to f32
  return doubleBitsToUint64(double(a)) != doubleBitsToUint64(to_double_exactly(a)) && !is_nan(a) ||
         differs(float(product), to_float_exactly(product));
#else
  return false;
#endif
}

#ifdef WITH_F64
// A random mantissa and sign, and one of `spread` exponents from `exponent` on.
double operand_64(uint n, uint exponent, uint spread) {
  const uint high = mixed(n), field = exponent + mixed(n ^ 0x5bd1e995u) % spread;
  return uint64BitsToDouble(uint64_t((high & 0x800fffffu) | (field << 20)) << 32 | uint64_t(mixed(n ^ 0x9e3779b9u)));
}

// A quarter each has: any exponents; neighbouring exponents; quotients around the smallest normal number; denormal
// divisors.
void operands_64(uint n, out double a, out double b) {
  const uint kind = n % 4;
  a = kind == 1 ? operand_64(2 * n, 1023, 2) : kind == 2 ? operand_64(2 * n, 0, 60) : operand_64(2 * n, 0, 2048);
  b = kind == 0   ? operand_64(2 * n + 1, 0, 2048)
      : kind == 3 ? operand_64(2 * n + 1, 0, 2)
                  : operand_64(2 * n + 1, 1023, kind == 1 ? 2 : 60);
}

bool differs(double a, double b) {
  const uint64_t x = doubleBitsToUint64(a), y = doubleBitsToUint64(b);
  return x != y && !((x & ~sign_bit_64) > infinity_bits_64 && (y & ~sign_bit_64) > infinity_bits_64);
}
#endif

// The sum of two denormal numbers of the same sign has as its bits the sum of their bits.
bool adds_wrong(float a, float b) {
  const uint x = floatBitsToUint(a) & 0x7fffffu, y = floatBitsToUint(b) & 0x7fffffu;
  precise const float sum = uintBitsToFloat(x) + uintBitsToFloat(y);
  return floatBitsToUint(sum) != x + y;
}

// The same for the product with a small integer, fused with the sum as in product_fusing.glsl.
bool fuses_wrong(float a, float b, uint factor) {
  const uint x = floatBitsToUint(a) & 0x7ffffu, y = floatBitsToUint(b) & 0x7fffffu;
  const float sum = fma(uintBitsToFloat(x), float(factor), uintBitsToFloat(y));
  return floatBitsToUint(sum) != x * factor + y;
}

void main() {
  RETURN_IF_FAILED;
  InMemory counts = push.counts;
  const uint n = uint(ITEM_NUMBER);
  const float a = operand(2 * n), b = operand(2 * n + 1);
  precise const float quotient = a / b;
  precise const float root = sqrt(a);
  precise const float product = a * b;
  if (differs(quotient, divide_exactly(a, b))) atomicAdd(counts.wrong.divisions, 1u);
  if (differs(root, square_root_exactly(a))) atomicAdd(counts.wrong.roots, 1u);
  if (compares_wrong(a, b)) atomicAdd(counts.wrong.comparisons, 1u);
  if (converts_wrong(a, b)) atomicAdd(counts.wrong.conversions, 1u);
  if (differs(product, multiply_exactly(a, b))) atomicAdd(counts.wrong.products, 1u);
  if (adds_wrong(a, b)) atomicAdd(counts.wrong.sums, 1u);
  if (fuses_wrong(a, b, n % 16)) atomicAdd(counts.wrong.fused_products, 1u);
#ifdef WITH_F64
  if (n >= 16384) return;  // computing bit by bit is slow
  double c, d;
  operands_64(n, c, d);
  precise const double quotient_64 = c / d;
  if (differs(quotient_64, divide_exactly(c, d))) atomicAdd(counts.wrong.divisions_64, 1u);
  const double e = n % 16 == 0 ? c : abs(n % 2 == 0 ? c : d);
  precise const double root_64 = sqrt(e);
  if (differs(root_64, square_root_exactly(e))) atomicAdd(counts.wrong.roots_64, 1u);
#endif
}
