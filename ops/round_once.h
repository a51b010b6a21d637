// Rounding to f16 and bf16 in one step. If a value near the midpoint of two half-width floats were first rounded to the
// nearest float, it could become the midpoint and then round the wrong way.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "lockstep/dtype.h"

namespace lockstep {

/// A float that lies between the same two half-width floats as `value`, and at their midpoint only if `value` does. It
/// is `value` rounded toward zero, with the last bit set if anything was cut off ("rounding to odd"; Boldo and
/// Melquiond, IEEE Trans. Computers 57, 2008).
inline float float_to_odd(long double value) {
  float near = static_cast<float>(value);
  if (std::isnan(value) || static_cast<long double>(near) == value) return near;
  if (std::fabs(static_cast<long double>(near)) > std::fabs(value)) near = std::nextafterf(near, 0.0f);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(near) | 1u);
}

inline Half half_of(long double value) { return Half(float_to_odd(value)); }
inline BFloat16 bfloat16_of(long double value) { return BFloat16(float_to_odd(value)); }

}  // namespace lockstep
