// Coarser numbers than f32.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace mutants {

/// x with `bits` of its 23 mantissa bits, rounded to nearest even.
inline float with_mantissa(float x, int bits) {
  if (!std::isfinite(x)) return x;
  const int dropped = 23 - bits;
  const auto u = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t odd = (u >> dropped) & 1, half = (1u << (dropped - 1)) - 1;
  return std::bit_cast<float>((u + half + odd) & ~((1u << dropped) - 1));
}
inline float as_tf32(float x) { return with_mantissa(x, 10); }
inline float as_bf16(float x) { return with_mantissa(x, 7); }
/// As f16 stores it, but for its denormals.
inline float as_f16(float x) { return std::fabs(x) > 65504 ? std::copysign(INFINITY, x) : with_mantissa(x, 10); }

/// The f32 at or next to x on the side of zero.
inline float truncated(double x) {
  const float f = static_cast<float>(x);
  return std::fabs(static_cast<double>(f)) > std::fabs(x) ? std::nextafter(f, 0.0f) : f;
}

}  // namespace mutants
