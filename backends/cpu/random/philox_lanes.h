// The shared Philox on vectors: one block per 64-bit lane, each word in the low half of its lane. The upper halves may
// hold anything. Philox's multiplication, of two 32-bit words to 64 bits, reads only the low halves, and no other
// operation carries from the upper half into the low one.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace cpu::philox {

// For each instruction set: the multiplication, the interleaving of the lanes of two vectors, and the block that each
// lane computes. The blocks are ordered so that low_unpacked gives the first half of the blocks in order, and
// high_unpacked the second half.
#if defined(__AVX512F__)
typedef std::uint64_t Vector __attribute__((vector_size(64)));
inline Vector multiply(Vector a, Vector b) {
  // The masked form with all lanes on, because for the plain form GCC 12 warns about its own header.
  return (Vector)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
}
inline Vector low_unpacked(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14); }
inline Vector high_unpacked(Vector a, Vector b) { return __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15); }
inline Vector lane_blocks() { return Vector{0, 4, 1, 5, 2, 6, 3, 7}; }
#elif defined(__AVX2__)
typedef std::uint64_t Vector __attribute__((vector_size(32)));
inline Vector multiply(Vector a, Vector b) { return (Vector)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
inline Vector low_unpacked(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 4, 2, 6); }
inline Vector high_unpacked(Vector a, Vector b) { return __builtin_shufflevector(a, b, 1, 5, 3, 7); }
inline Vector lane_blocks() { return Vector{0, 2, 1, 3}; }
#else
typedef std::uint64_t Vector __attribute__((vector_size(16)));
inline Vector multiply(Vector a, Vector b) { return (Vector)_mm_mul_epu32((__m128i)a, (__m128i)b); }
inline Vector low_unpacked(Vector a, Vector b) { return __builtin_shufflevector(a, b, 0, 2); }
inline Vector high_unpacked(Vector a, Vector b) { return __builtin_shufflevector(a, b, 1, 3); }
inline Vector lane_blocks() { return Vector{0, 1}; }
#endif

inline Vector all(std::uint64_t x) { return Vector{} + x; }

/// Blocks in a vector.
constexpr std::int64_t lanes = sizeof(Vector) / 8;

// The part of the scalar dialect that philox.inc uses.
struct U32 {
  Vector v;
};
inline U32 operator*(U32 a, U32 b) { return {multiply(a.v, b.v)}; }
inline U32 operator+(U32 a, U32 b) { return {a.v + b.v}; }
struct U32x4 {
  U32 x, y, z, w;
};

#define LS_FUNCTION(type) static inline __attribute__((always_inline)) type
#define U32_CONST(x) (U32{all(x)})
#define LS_MULHI(a, b) (U32{multiply((a).v, (b).v) >> 32})
#define LS_BITXOR(a, b) (U32{(a).v ^ (b).v})
#define LS_U32X4(x, y, z, w) (U32x4{x, y, z, w})
#include "ops/scalar/philox.inc"
#undef LS_FUNCTION
#undef U32_CONST
#undef LS_MULHI
#undef LS_BITXOR
#undef LS_U32X4

/// Combines two words of each lane into one 64-bit value.
inline Vector joined(U32 low, U32 high) { return (low.v & 0xffffffffu) | high.v << 32; }

/// Stores the words of `lanes` blocks in order.
inline void store_blocks(std::uint32_t* to, const U32x4& r) {
  const Vector first = joined(r.x, r.y), second = joined(r.z, r.w);
  const Vector halves[] = {low_unpacked(first, second), high_unpacked(first, second)};
  std::memcpy(to, halves, sizeof halves);
}

}  // namespace cpu::philox
