// Rounding f32 to fewer bits.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace mutants {

/// x rounded to nearest even, to `bits` of its 23 mantissa bits.
inline float with_mantissa(float x, int bits) {
  if (!std::isfinite(x)) return x;
  const int dropped = 23 - bits;
  const auto u = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t odd = (u >> dropped) & 1, half = (1u << (dropped - 1)) - 1;
  return std::bit_cast<float>((u + half + odd) & ~((1u << dropped) - 1));
}
inline float as_tf32(float x) { return with_mantissa(x, 10); }
inline float as_bf16(float x) { return with_mantissa(x, 7); }
/// x rounded to f16, except that small numbers keep ten mantissa bits instead of becoming denormal.
inline float as_f16(float x) { return std::fabs(x) > 65504 ? std::copysign(INFINITY, x) : with_mantissa(x, 10); }

/// x rounded to f32.
inline double as_f32(double x) { return static_cast<double>(static_cast<float>(x)); }

/// x rounded towards zero to f32.
inline float truncated(double x) {
  const float f = static_cast<float>(x);
  return std::fabs(static_cast<double>(f)) > std::fabs(x) ? std::nextafter(f, 0.0f) : f;
}

}  // namespace mutants
