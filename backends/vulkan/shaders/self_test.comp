#version 460
// Counts the operands for which the device's division or square root is not what integer arithmetic gives.
#include "common.glsl"
#include "exact.glsl"

layout(local_size_x = 256) in;

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Counts {
  uint divisions;
  uint roots;
};
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer Params { Counts counts; };

// Mixes the bits of a number (the finaliser of MurmurHash3, by Austin Appleby).
uint mixed(uint x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// Any bits, or in half of the cases mantissas and exponents such that results are often near the middle between two numbers
// or near the smallest ones.
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

void main() {
  RETURN_IF_FAILED;
  Counts counts = Params(push.params).counts;
  const uint n = uint(ITEM_NUMBER);
  const float a = operand(2 * n), b = operand(2 * n + 1);
  precise const float quotient = a / b;
  precise const float root = sqrt(a);
  if (differs(quotient, divide_exactly(a, b))) atomicAdd(counts.divisions, 1u);
  if (differs(root, square_root_exactly(a))) atomicAdd(counts.roots, 1u);
}
