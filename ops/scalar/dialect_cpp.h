// The scalar dialect as C++ on float and double. Compile with -ffp-contract=off and -fno-math-errno -fno-trapping-math.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define LS_FUNCTION(type) [[maybe_unused]] static inline __attribute__((always_inline)) type

using F32 = float;
using F64 = double;
using I32 = std::int32_t;
using U32 = std::uint32_t;
using I64 = std::int64_t;
using U64 = std::uint64_t;
using BOOL = bool;

#define F32_CONST(x) (x##f)
#define F64_CONST(x) (x)
#define I32_CONST(x) (static_cast<std::int32_t>(x))
#define U32_CONST(x) (static_cast<std::uint32_t>(x))
#define I64_CONST(x) (static_cast<std::int64_t>(x))
#define U64_CONST(x) (static_cast<std::uint64_t>(x))

#define LS_SELECT(c, a, b) ((c) ? (a) : (b))
#define LS_AND(a, b) ((a) & (b))
#define LS_OR(a, b) ((a) | (b))
#define LS_NOT(a) (!(a))
#define LS_SQRT(x) (std::sqrt(x))
#define LS_ABS(x) (std::fabs(x))
#define BITS_F32(x) (__builtin_bit_cast(std::uint32_t, static_cast<float>(x)))
#define FLOAT_U32(u) (__builtin_bit_cast(float, static_cast<std::uint32_t>(u)))
#define BITS_F64(x) (__builtin_bit_cast(std::uint64_t, static_cast<double>(x)))
#define FLOAT_U64(u) (__builtin_bit_cast(double, static_cast<std::uint64_t>(u)))
#define I32_OF_U32(x) (static_cast<std::int32_t>(x))
#define U32_OF_I32(x) (static_cast<std::uint32_t>(x))
#define I64_OF_U64(x) (static_cast<std::int64_t>(x))
#define U64_OF_I64(x) (static_cast<std::uint64_t>(x))
#define F32_OF_I32(x) (static_cast<float>(x))
#define F64_OF_I64(x) (static_cast<double>(x))
#define LS_SHL(x, n) ((x) << (n))
#define LS_SHR(x, n) ((x) >> (n))
#define LS_BITAND(a, b) ((a) & (b))
#define LS_BITOR(a, b) ((a) | (b))
#define LS_BITXOR(a, b) ((a) ^ (b))

// Upper half of a 32-bit product, and four values at once.
#define LS_MULHI(a, b) (static_cast<std::uint32_t>((static_cast<std::uint64_t>(a) * (b)) >> 32))
struct U32x4 {
  std::uint32_t x, y, z, w;
};
#define LS_U32X4(x, y, z, w) (U32x4{x, y, z, w})
