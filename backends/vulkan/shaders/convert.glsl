// Conversions between element types, as docs/lockstep_mode.md defines them. f16 and bf16 are held as their bits in a
// uint; i8 and u8 as int and uint within their range.

float negate(float x) { return uintBitsToFloat(floatBitsToUint(x) ^ 0x80000000u); }
float magnitude(float x) { return uintBitsToFloat(floatBitsToUint(x) & 0x7fffffffu); }

float half_to_float(uint h) {
  const uint sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
  if (exponent == 31) return uintBitsToFloat(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return uintBitsToFloat(sign | ((exponent + 112) << 23) | (mantissa << 13));
  precise const float small = float(mantissa) * 5.9604644775390625e-08;  // 2^-24, exactly
  return uintBitsToFloat(sign | floatBitsToUint(small));
}
float bfloat_to_float(uint b) { return uintBitsToFloat(b << 16); }

// sign · mantissa · 2^exponent as a half-width float, rounded to nearest even.
uint pack_half_width(uint sign, uint64_t mantissa, int exponent, int mantissa_bits, int min_exponent, uint infinity) {
  if (mantissa == 0) return sign;
  const uint high = uint(mantissa >> 32), low = uint(mantissa);
  const int top = high != 0 ? 32 + findMSB(high) : findMSB(low);
  const int smallest = min_exponent - mantissa_bits;  // exponent of the last place of subnormal numbers
  const int last = max(top - mantissa_bits, smallest - exponent);
  uint64_t kept = mantissa;
  if (last > 63) {
    kept = 0;
  } else if (last > 0) {
    const uint64_t rest = mantissa & ((uint64_t(1) << last) - 1), half_way = uint64_t(1) << (last - 1);
    kept = mantissa >> last;
    if (rest > half_way || (rest == half_way && (kept & 1) == 1)) kept += 1;
  } else {
    kept = mantissa << -last;
  }
  // The bits count up from the smallest subnormal number, so a carry out of the mantissa increments the exponent.
  const int field = exponent + last - smallest;
  const uint bits = uint(kept) + (uint(field) << mantissa_bits);
  return sign | min(bits, infinity);
}
uint pack_half(uint sign, uint64_t m, int e) { return pack_half_width(sign, m, e, 10, -14, 0x7c00u); }
uint pack_bfloat(uint sign, uint64_t m, int e) { return pack_half_width(sign, m, e, 7, -126, 0x7f80u); }

uint float_to_half(float x) {
  const uint bits = floatBitsToUint(x), sign = (bits >> 16) & 0x8000u, field = (bits >> 23) & 255u;
  if (field == 255) return sign | ((bits & 0x7fffffu) != 0 ? 0x7e00u : 0x7c00u);
  return pack_half(sign, uint64_t((bits & 0x7fffffu) | (field != 0 ? 0x800000u : 0u)), int(max(field, 1u)) - 150);
}
uint float_to_bfloat(float x) {
  const uint bits = floatBitsToUint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return ((bits >> 16) & 0x8000u) | 0x7fc0u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// The sign is the highest bit: Mesa 22.3 miscompiles the comparison of a widened int with a constant of 64 bits.
uint half_width_sign_of(int64_t x) { return uint(uint64_t(x) >> 63) << 15; }
uint64_t magnitude_of(int64_t x) { return half_width_sign_of(x) != 0 ? uint64_t(0) - uint64_t(x) : uint64_t(x); }
uint long_to_half(int64_t x) { return pack_half(half_width_sign_of(x), magnitude_of(x), 0); }
uint long_to_bfloat(int64_t x) { return pack_bfloat(half_width_sign_of(x), magnitude_of(x), 0); }
uint ulong_to_half(uint64_t x) { return pack_half(0u, x, 0); }
uint ulong_to_bfloat(uint64_t x) { return pack_bfloat(0u, x, 0); }

// Rounds toward zero and saturates; NaN becomes 0. The bounds are powers of two, which every format represents exactly.
int float_to_int(float x) {
  if (is_nan(x)) return 0;
  if (x >= 2147483648.0) return 0x7fffffff;
  if (x < -2147483648.0) return int(0x80000000u);
  return int(x);
}
int64_t float_to_long(float x) {
  if (is_nan(x)) return int64_t(0);
  if (x >= 9223372036854775808.0) return 0x7fffffffffffffffl;
  if (x < -9223372036854775808.0) return int64_t(0x8000000000000000ul);
  return int64_t(x);
}
uint float_to_uint(float x) {
  if (is_nan(x) || x <= 0) return 0u;
  if (x >= 4294967296.0) return 0xffffffffu;
  return uint(x);
}
uint64_t float_to_ulong(float x) {
  if (is_nan(x) || x <= 0) return uint64_t(0);
  if (x >= 18446744073709551616.0) return 0xfffffffffffffffful;
  return uint64_t(x);
}

#ifdef WITH_F64
bool is_nan(double x) { return (doubleBitsToUint64(x) & 0x7ffffffffffffffful) > 0x7ff0000000000000ul; }
double negate(double x) { return uint64BitsToDouble(doubleBitsToUint64(x) ^ 0x8000000000000000ul); }
double magnitude(double x) { return uint64BitsToDouble(doubleBitsToUint64(x) & 0x7ffffffffffffffful); }

uint double_to_half_width(double x, bool half_format) {
  const uint64_t bits = doubleBitsToUint64(x);
  const uint sign = uint(bits >> 48) & 0x8000u, field = uint(bits >> 52) & 2047u;
  const uint64_t mantissa = bits & 0xffffffffffffful;
  if (field == 2047) {
    const uint infinity = half_format ? 0x7c00u : 0x7f80u, nan = half_format ? 0x7e00u : 0x7fc0u;
    return sign | (mantissa != 0 ? nan : infinity);
  }
  const uint64_t m = mantissa | (field != 0 ? 0x10000000000000ul : uint64_t(0));
  const int e = int(max(field, 1u)) - 1075;
  return half_format ? pack_half(sign, m, e) : pack_bfloat(sign, m, e);
}
uint double_to_half(double x) { return double_to_half_width(x, true); }
uint double_to_bfloat(double x) { return double_to_half_width(x, false); }

int double_to_int(double x) {
  if (is_nan(x)) return 0;
  if (x >= 2147483648.0lf) return 0x7fffffff;
  if (x < -2147483648.0lf) return int(0x80000000u);
  return int(x);
}
int64_t double_to_long(double x) {
  if (is_nan(x)) return int64_t(0);
  if (x >= 9223372036854775808.0lf) return 0x7fffffffffffffffl;
  if (x < -9223372036854775808.0lf) return int64_t(0x8000000000000000ul);
  return int64_t(x);
}
uint double_to_uint(double x) {
  if (is_nan(x) || x <= 0.0lf) return 0u;
  if (x >= 4294967296.0lf) return 0xffffffffu;
  return uint(x);
}
uint64_t double_to_ulong(double x) {
  if (is_nan(x) || x <= 0.0lf) return uint64_t(0);
  if (x >= 18446744073709551616.0lf) return 0xfffffffffffffffful;
  return uint64_t(x);
}
#endif
