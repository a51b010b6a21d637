// Conversions between element types, one value at a time, without branches, so that loops over them vectorise.
// Narrowing rounds once, to nearest even.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "backends/cpu/element.h"

namespace cpu {

inline float to_float(Half h) {
  const std::uint32_t magnitude = h.bits & 0x7fffu, sign = static_cast<std::uint32_t>(h.bits & 0x8000u) << 16;
  // With the bits shifted to the place of a float's exponent and mantissa, the value is too small by a factor of 2^112.
  // The product is exact, also for denormals.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const std::uint32_t special = magnitude << 13 | 0x7f800000u | (magnitude > 0x7c00u ? 0x00400000u : 0u);
  const std::uint32_t bits = magnitude >= 0x7c00u ? special : std::bit_cast<std::uint32_t>(scaled);
  return std::bit_cast<float>(bits | sign);
}

inline float to_float(BFloat b) { return std::bit_cast<float>(static_cast<std::uint32_t>(b.bits) << 16); }

inline Half narrow_to_half(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), sign = bits >> 16 & 0x8000u,
                      magnitude = bits & 0x7fffffffu;
  // For results below the smallest normal half: adding 1/2 leaves the rounded result in the lowest bits of the sum.
  const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
  const std::uint32_t tiny = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u;
  const std::uint32_t normal = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  std::uint32_t result = magnitude < 0x38800000u ? tiny : normal;
  result = magnitude >= 0x47800000u ? 0x7c00u : result;
  result = magnitude > 0x7f800000u ? 0x7e00u : result;
  return {static_cast<std::uint16_t>(result | sign)};
}

inline BFloat narrow_to_bfloat(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  const std::uint32_t result = (bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16 & 0x8000u) | 0x7fc0u : rounded;
  return {static_cast<std::uint16_t>(result)};
}

/// Rounds to odd: x truncated to a float, with the last bit set if x is not a float. Rounding the result again, to at
/// least two bits fewer, gives the same as rounding x directly.
inline float round_to_odd(double x) {
  const float nearest = static_cast<float>(x);
  const double back = nearest;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
  const double magnitude_back = back < 0 ? -back : back, magnitude = x < 0 ? -x : x;
  bits -= magnitude_back > magnitude ? 1u : 0u;
  bits |= back != x && x == x ? 1u : 0u;
  return std::bit_cast<float>(bits);
}

/// The same for integers that a double may not represent exactly.
template <class T>
double integer_to_odd(T x) {
  if constexpr (sizeof(T) < 8) return static_cast<double>(x);
  double nearest = static_cast<double>(x);
  std::uint64_t bits = std::bit_cast<std::uint64_t>(nearest);
  // 2^63 and 2^64 do not convert back; they are reached only by rounding up.
  const bool beyond = nearest >= (std::is_signed_v<T> ? 0x1p63 : 0x1p64);
  const T back = beyond ? std::numeric_limits<T>::max() : static_cast<T>(nearest);
  const bool inexact = beyond || back != x;
  const bool away = beyond || (x < 0 ? back < x : back > x);
  bits -= away ? 1u : 0u;
  bits |= inexact ? 1u : 0u;
  return std::bit_cast<double>(bits);
}

/// Truncates and saturates; NaN gives 0.
template <class To, class From>
To saturate(From x) {
  constexpr int bits = std::numeric_limits<To>::digits;
  constexpr From limit = static_cast<From>(std::uint64_t{1} << (bits - 1)) * 2;  // first value that does not fit
  constexpr From least = std::is_signed_v<To> ? -limit : From{0};
  // Integers narrower than 32 bits are converted through i32, for which there are vector conversions.
  using Wide = std::conditional_t<sizeof(To) < 4, std::int32_t, To>;
  const bool fits = x > least && x < limit;
  const Wide inside = static_cast<Wide>(fits ? x : From{0});
  const Wide outside = x >= limit   ? Wide{std::numeric_limits<To>::max()}
                       : x <= least ? Wide{std::numeric_limits<To>::min()}
                                    : Wide{0};
  return static_cast<To>(fits ? inside : outside);
}

/// Value conversion as LKS_INSTR_CONVERT defines it.
template <class To, class From>
To convert_value(From x) {
  if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat>) {
    return convert_value<To>(to_float(x));
  } else if constexpr (std::is_same_v<From, Bool8>) {
    return convert_value<To>(x.byte);
  } else if constexpr (std::is_same_v<To, Bool8>) {
    return {static_cast<std::uint8_t>(x != From{0})};
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat>) {
    float narrow;
    if constexpr (std::is_same_v<From, float>) narrow = x;
    if constexpr (std::is_same_v<From, double>) narrow = round_to_odd(x);
    if constexpr (std::is_integral_v<From>) narrow = round_to_odd(integer_to_odd(x));
    if constexpr (std::is_same_v<To, Half>) return narrow_to_half(narrow);
    if constexpr (std::is_same_v<To, BFloat>) return narrow_to_bfloat(narrow);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return saturate<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace cpu
