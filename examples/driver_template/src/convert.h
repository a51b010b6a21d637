// Values as raw bits, zero-extended to 64 bits, and conversions between dtypes. Each conversion rounds once, to nearest
// even.
#pragma once

#include <lockstep/driver.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "tensor.h"

using Bits = std::uint64_t;

template <class T>
T decode(Bits bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);  // little-endian
  return value;
}
template <class T>
Bits encode(T value) {
  Bits bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

// --------------------------------------------------------------------------------------------------- half-width floats

// Rounds x to a format with `exponent_bits` and `mantissa_bits`. Overflow gives infinity; underflow is gradual.
inline Bits narrow(double x, int exponent_bits, int mantissa_bits) {
  const Bits bits = std::bit_cast<Bits>(x);
  const Bits sign = (bits >> 63) << (exponent_bits + mantissa_bits);
  const Bits infinity = ((Bits{1} << exponent_bits) - 1) << mantissa_bits;
  if (std::isnan(x)) return sign | infinity | Bits{1} << (mantissa_bits - 1);
  if (std::isinf(x)) return sign | infinity;
  if (x == 0) return sign;
  int exponent = std::ilogb(x) + (1 << (exponent_bits - 1)) - 1;  // biased, in the target format
  int dropped = 52 - mantissa_bits;
  if (exponent < 1) {
    dropped += 1 - exponent;  // denormal
    exponent = 1;
  }
  if (dropped > 54) return sign;
  // Denormal doubles are far too small for the target formats and have already returned above.
  const Bits mantissa = (bits & ((Bits{1} << 52) - 1)) | Bits{1} << 52;
  Bits kept = mantissa >> dropped;
  const Bits rest = mantissa & ((Bits{1} << dropped) - 1), half = Bits{1} << (dropped - 1);
  if (rest > half || (rest == half && (kept & 1))) ++kept;
  // The implicit leading bit of a normal number adds one to the exponent field, and so does a carry out of the
  // mantissa.
  const Bits result = (static_cast<Bits>(exponent - 1) << mantissa_bits) + kept;
  return sign | (result < infinity ? result : infinity);
}

inline double half_to_double(Bits h) {
  const double sign = h & 0x8000 ? -1 : 1;
  const int exponent = static_cast<int>(h >> 10 & 31);
  const auto mantissa = static_cast<double>(h & 0x3ff);
  if (exponent == 31) return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25));
}

inline double float_value(Bits bits, lks_dtype t) {
  switch (t) {
    case LKS_F64: return decode<double>(bits);
    case LKS_F16: return half_to_double(bits);
    case LKS_BF16: return static_cast<double>(decode<float>(bits << 16));
    default: return static_cast<double>(decode<float>(bits));
  }
}

inline Bits float_bits(double x, lks_dtype t) {
  switch (t) {
    case LKS_F64: return encode(x);
    case LKS_F16: return narrow(x, 5, 10);
    case LKS_BF16: return narrow(x, 8, 7);
    default: return encode(static_cast<float>(x));
  }
}

// ---------------------------------------------------------------------------------------------------------- integers

inline std::int64_t signed_value(Bits bits, lks_dtype t) {
  const int unused = 64 - static_cast<int>(LKS_DTYPE_BITS(t));
  return static_cast<std::int64_t>(bits << unused) >> unused;
}
inline Bits low_bits(Bits bits, lks_dtype t) { return bits << (64 - LKS_DTYPE_BITS(t)) >> (64 - LKS_DTYPE_BITS(t)); }

// Converts an integer, given as magnitude and sign, to double with rounding to odd: excess bits are cut off, and if any
// of them was set, the last kept bit is set. Rounding the result to a format of at most 50 bits then gives the same
// value as rounding the integer directly.
inline double odd_double(Bits magnitude, bool negative) {
  const int width = std::bit_width(magnitude), dropped = width > 53 ? width - 53 : 0;
  Bits kept = magnitude >> dropped;
  if (kept << dropped != magnitude) kept |= 1;
  const double d = std::ldexp(static_cast<double>(kept), dropped);
  return negative ? -d : d;
}

inline Bits integer_to_float(Bits bits, lks_dtype from, lks_dtype to) {
  const std::int64_t i = signed_value(bits, from);
  const bool negative = is_signed(from) && i < 0;
  if (to == LKS_F32) return encode(is_signed(from) ? static_cast<float>(i) : static_cast<float>(bits));
  if (to == LKS_F64) return encode(is_signed(from) ? static_cast<double>(i) : static_cast<double>(bits));
  const Bits magnitude = negative ? 0 - static_cast<Bits>(i) : (is_signed(from) ? static_cast<Bits>(i) : bits);
  return float_bits(odd_double(magnitude, negative), to);
}

// Truncates towards zero and saturates. NaN gives 0.
inline Bits float_to_integer(double x, lks_dtype to) {
  if (std::isnan(x)) return 0;
  const int width = static_cast<int>(LKS_DTYPE_BITS(to));
  const double beyond = std::ldexp(1.0, is_signed(to) ? width - 1 : width);
  const Bits largest = low_bits(~Bits{0}, to) >> (is_signed(to) ? 1 : 0);
  if (x >= beyond) return largest;
  if (!is_signed(to)) return x <= 0 ? 0 : static_cast<Bits>(x);
  if (x < -beyond) return largest + 1;
  return low_bits(static_cast<Bits>(static_cast<std::int64_t>(x)), to);
}

inline Bits convert(Bits bits, lks_dtype from, lks_dtype to) {
  if (LKS_DTYPE_CLASS(to) == LKS_CLASS_BOOL) return is_float(from) ? float_value(bits, from) != 0 : bits != 0;
  if (is_float(from)) {
    const double x = float_value(bits, from);
    return is_float(to) ? float_bits(x, to) : float_to_integer(x, to);
  }
  if (is_float(to)) return integer_to_float(bits, from, to);
  return low_bits(is_signed(from) ? static_cast<Bits>(signed_value(bits, from)) : bits, to);
}
