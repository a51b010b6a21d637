// The parameters of the floating formats.
#pragma once

#include <cmath>

#include "lockstep/dtype.h"

namespace lockstep::conformance {

struct FloatFormat {
  int mantissa;                    // bits after the binary point
  int min_exponent, max_exponent;  // of normal numbers
  long double largest() const { return std::ldexp(2 - std::ldexp(1.0L, -mantissa), max_exponent); }
  long double min_normal() const { return std::ldexp(1.0L, min_exponent); }
  long double least() const { return std::ldexp(1.0L, min_exponent - mantissa); }
};

inline FloatFormat float_format(DType t) {
  switch (t) {
    case DType::f64: return {52, -1022, 1023};
    case DType::f16: return {10, -14, 15};
    case DType::bf16: return {7, -126, 127};
    default: return {23, -126, 127};
  }
}

}  // namespace lockstep::conformance
