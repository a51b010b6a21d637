// Rounding to the short floats once. By way of a float that was itself rounded to nearest, a value just off the middle
// between two short floats would land in the middle and then go the wrong way.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "lockstep/dtype.h"

namespace lockstep {

/// A float between the same two short floats as `value`, and in their middle only if `value` is: rounded toward zero,
/// with the last bit set where anything was cut off ("rounding to odd"; Boldo and Melquiond, IEEE Trans. Computers 57,
/// 2008).
inline float float_to_odd(long double value) {
  float near = static_cast<float>(value);
  if (std::isnan(value) || static_cast<long double>(near) == value) return near;
  if (std::fabs(static_cast<long double>(near)) > std::fabs(value)) near = std::nextafterf(near, 0.0f);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(near) | 1u);
}

inline Half half_of(long double value) { return Half(float_to_odd(value)); }
inline BFloat16 bfloat16_of(long double value) { return BFloat16(float_to_odd(value)); }

}  // namespace lockstep
