// Floating-point arithmetic by integers, which is the same on every device. The specification allows divisions an error
// of 2.5 ULP, and roots more, and says nothing of denormal numbers in comparisons and conversions: NVIDIA's driver
// flushes them to zero there, though not in sums and products. If the device passes a test when it is opened
// (device/self_test.h), its own instructions are used.
layout(constant_id = 0) const bool native_division = true;
layout(constant_id = 1) const bool native_root = true;
layout(constant_id = 2) const bool native_comparison = true;
layout(constant_id = 3) const bool native_conversion = true;
layout(constant_id = 4) const bool native_division_64 = true;
layout(constant_id = 5) const bool native_root_64 = true;

const uint sign_bit = 0x80000000u, infinity_bits = 0x7f800000u, nan_bits = 0x7fc00000u;

// sign · mantissa · 2^exponent, rounded to nearest even. `mantissa` has at least 26 bits or is exact; its lowest bit is
// sticky: it is set if anything was cut off.
float pack_float(uint sign, uint mantissa, int exponent) {
  if (mantissa == 0) return uintBitsToFloat(sign);
  const int top = findMSB(mantissa);
  int last = top - 23;                                // bits below the last place
  last = max(last, -149 - exponent);                  // more of them if the result is subnormal
  if (last <= 0) {
    mantissa <<= -last;
  } else if (last > 31) {
    mantissa = 0;
  } else {
    const uint rest = mantissa & ((1u << last) - 1), half_way = 1u << (last - 1);
    mantissa >>= last;
    if (rest > half_way || (rest == half_way && (mantissa & 1) == 1)) mantissa += 1;
  }
  exponent += last;
  if (mantissa >= 1u << 24) {
    mantissa >>= 1;
    exponent += 1;
  }
  if (mantissa < 1u << 23) return uintBitsToFloat(sign | mantissa);  // subnormal: the exponent is -149
  if (exponent > 104) return uintBitsToFloat(sign | infinity_bits);
  return uintBitsToFloat(sign | (uint(exponent + 150) << 23) | (mantissa & 0x7fffffu));
}

// The mantissa, in 24 bits, and the exponent of a finite nonzero number.
uint unpack_float(uint bits, out int exponent) {
  const uint field = (bits >> 23) & 255u;
  uint mantissa = bits & 0x7fffffu;
  if (field != 0) {
    exponent = int(field) - 150;
    return mantissa | 0x800000u;
  }
  const int shift = 23 - findMSB(mantissa);
  exponent = -149 - shift;
  return mantissa << shift;
}

// The product, rounded once.
float multiply_exactly(float a, float b) {
  const uint x = floatBitsToUint(a), y = floatBitsToUint(b), sign = (x ^ y) & sign_bit;
  const uint p = x & ~sign_bit, q = y & ~sign_bit;
  if (p > infinity_bits || q > infinity_bits) return uintBitsToFloat(nan_bits);
  if (p == infinity_bits || q == infinity_bits) return uintBitsToFloat(p == 0 || q == 0 ? nan_bits : sign | infinity_bits);
  if (p == 0 || q == 0) return uintBitsToFloat(sign);
  int e, f;
  const uint64_t product = uint64_t(unpack_float(p, e)) * uint64_t(unpack_float(q, f));  // 47 or 48 bits
  const uint rest = (uint(product) & 0x1ffffu) != 0 ? 1u : 0u;
  return pack_float(sign, uint(product >> 17) | rest, e + f + 17);
}

float divide_exactly(float a, float b) {
  const uint x = floatBitsToUint(a), y = floatBitsToUint(b), sign = (x ^ y) & sign_bit;
  const uint p = x & ~sign_bit, q = y & ~sign_bit;
  if (p > infinity_bits || q > infinity_bits) return uintBitsToFloat(nan_bits);
  if (p == infinity_bits) return uintBitsToFloat(q == infinity_bits ? nan_bits : sign | infinity_bits);
  if (q == infinity_bits) return uintBitsToFloat(sign);
  if (q == 0) return uintBitsToFloat(p == 0 ? nan_bits : sign | infinity_bits);
  if (p == 0) return uintBitsToFloat(sign);
  int e, f;
  const uint64_t m = uint64_t(unpack_float(p, e)) << 28, n = uint64_t(unpack_float(q, f));
  const uint64_t quotient = m / n;  // 28 or 29 bits
  const uint rest = m - quotient * n != 0 ? 1u : 0u;
  return pack_float(sign, (uint(quotient) << 1) | rest, e - f - 29);
}

float square_root_exactly(float a) {
  const uint x = floatBitsToUint(a);
  if (x == 0 || x == sign_bit || x == infinity_bits) return a;
  if ((x & sign_bit) != 0 || x > infinity_bits) return uintBitsToFloat(nan_bits);
  int e;
  uint64_t m = uint64_t(unpack_float(x, e)) << 28;  // 52 bits: a root of 26
  if ((e & 1) != 0) m <<= 1;
  e = (e & 1) != 0 ? e - 1 : e;
  // Bit by bit, with integers only.
  uint64_t root = 0;
  for (int bit = 26; bit >= 0; --bit) {
    const uint64_t trial = root | (uint64_t(1) << bit);
    if (trial * trial <= m) root = trial;
  }
  const uint rest = m - root * root != 0 ? 1u : 0u;
  return pack_float(0, (uint(root) << 1) | rest, e / 2 - 15);
}

float divide(float a, float b) {
  if (!native_division) return divide_exactly(a, b);
  precise const float quotient = a / b;
  return quotient;
}

float square_root(float a) {
  if (!native_root) return square_root_exactly(a);
  precise const float root = sqrt(a);
  return root;
}

bool is_nan(float x) { return (floatBitsToUint(x) & ~sign_bit) > infinity_bits; }

// An integer that is ordered like the number; zeros of both signs are equal.
int ordered(float x) {
  const int bits = floatBitsToInt(x);
  return bits < 0 ? int(sign_bit) - bits : bits;
}
bool is_less_exactly(float a, float b) { return !is_nan(a) && !is_nan(b) && ordered(a) < ordered(b); }
bool is_equal_exactly(float a, float b) { return !is_nan(a) && !is_nan(b) && ordered(a) == ordered(b); }

bool is_less(float a, float b) { return native_comparison ? a < b : is_less_exactly(a, b); }
bool is_equal(float a, float b) { return native_comparison ? a == b : is_equal_exactly(a, b); }
bool is_less_or_equal(float a, float b) {
  return native_comparison ? a <= b : is_less_exactly(a, b) || is_equal_exactly(a, b);
}

#ifdef WITH_F64
bool is_less(double a, double b) { return a < b; }
bool is_equal(double a, double b) { return a == b; }
bool is_less_or_equal(double a, double b) { return a <= b; }

double to_double_exactly(float x) {
  const uint bits = floatBitsToUint(x), sign = bits & sign_bit, magnitude = bits & ~sign_bit;
  if (magnitude >= 0x800000u) return double(x);
  precise const double small = double(magnitude) * 1.401298464324817070923729583289916131280e-45lf;  // 2^-149
  return sign == 0 ? small : -small;
}
float to_float_exactly(double x) {
  const uint64_t bits = doubleBitsToUint64(x), mantissa = bits & 0xffffffffffffful;
  const uint sign = uint(bits >> 32) & sign_bit, field = uint(bits >> 52) & 2047u;
  if (field == 0) return uintBitsToFloat(sign);  // far below the smallest f32
  if (field == 2047) return uintBitsToFloat(mantissa != 0 ? nan_bits : sign | infinity_bits);
  const uint64_t all = mantissa | 0x10000000000000ul;
  const uint rest = (uint(all) & 0x7fffffu) != 0 ? 1u : 0u;
  return pack_float(sign, uint(all >> 23) | rest, int(field) - 1075 + 23);
}
double to_double(float x) { return native_conversion ? double(x) : to_double_exactly(x); }
float to_float(double x) { return native_conversion ? float(x) : to_float_exactly(x); }

// The same for f64; `mantissa` has at least 55 bits or is exact.
const uint64_t sign_bit_64 = 0x8000000000000000ul, infinity_bits_64 = 0x7ff0000000000000ul;
const uint64_t nan_bits_64 = 0x7ff8000000000000ul, fraction_64 = 0xffffffffffffful, one_64 = 1ul;

int highest_bit(uint64_t x) {
  const uint high = uint(x >> 32);
  return high != 0 ? findMSB(high) + 32 : findMSB(uint(x));
}

double pack_double(uint64_t sign, uint64_t mantissa, int exponent) {
  const int last = max(highest_bit(mantissa) - 52, -1074 - exponent);
  if (last <= 0) {
    mantissa <<= -last;
  } else if (last > 63) {
    mantissa = 0ul;
  } else {
    const uint64_t rest = mantissa & ((one_64 << last) - one_64), half_way = one_64 << (last - 1);
    mantissa >>= last;
    if (rest > half_way || (rest == half_way && (mantissa & one_64) != 0)) mantissa += one_64;
  }
  exponent += last;
  if (mantissa > (fraction_64 << 1 | one_64)) {
    mantissa >>= 1;
    exponent += 1;
  }
  if (mantissa <= fraction_64) return uint64BitsToDouble(sign | mantissa);  // subnormal: the exponent is -1074
  if (exponent > 971) return uint64BitsToDouble(sign | infinity_bits_64);
  return uint64BitsToDouble(sign | (uint64_t(uint(exponent + 1075)) << 52) | (mantissa & fraction_64));
}

// The same for f64: a mantissa of 53 bits.
uint64_t unpack_double(uint64_t bits, out int exponent) {
  const int field = int(uint(bits >> 52) & 2047u);
  const uint64_t mantissa = bits & fraction_64;
  if (field != 0) {
    exponent = field - 1075;
    return mantissa | (one_64 << 52);
  }
  const int shift = 52 - highest_bit(mantissa);
  exponent = -1074 - shift;
  return mantissa << shift;
}

double divide_exactly(double a, double b) {
  const uint64_t x = doubleBitsToUint64(a), y = doubleBitsToUint64(b), sign = (x ^ y) & sign_bit_64;
  const uint64_t p = x & ~sign_bit_64, q = y & ~sign_bit_64;
  if (p > infinity_bits_64 || q > infinity_bits_64) return uint64BitsToDouble(nan_bits_64);
  if (p == infinity_bits_64) return uint64BitsToDouble(q == infinity_bits_64 ? nan_bits_64 : sign | infinity_bits_64);
  if (q == infinity_bits_64) return uint64BitsToDouble(sign);
  if (q == 0) return uint64BitsToDouble(p == 0 ? nan_bits_64 : sign | infinity_bits_64);
  if (p == 0) return uint64BitsToDouble(sign);
  int e, f;
  uint64_t rest = unpack_double(p, e), quotient = 0ul;
  const uint64_t n = unpack_double(q, f);
  // Bit by bit: one bit before the binary point and 55 after it.
  for (int bit = 0; bit < 56; ++bit) {
    quotient <<= 1;
    if (rest >= n) {
      rest -= n;
      quotient |= one_64;
    }
    rest <<= 1;
  }
  return pack_double(sign, (quotient << 1) | (rest != 0 ? one_64 : 0ul), e - f - 56);
}

double square_root_exactly(double a) {
  const uint64_t x = doubleBitsToUint64(a);
  if (x == 0 || x == sign_bit_64 || x == infinity_bits_64) return a;
  if (x > infinity_bits_64) return uint64BitsToDouble(nan_bits_64);  // negative numbers too
  int e;
  uint64_t m = unpack_double(x, e);
  if ((e & 1) != 0) {
    m <<= 1;
    e -= 1;
  }
  // The 56-bit root of m · 2^58: two bits of the radicand for each bit of the root.
  uint64_t rest = 0ul, root = 0ul;
  for (int bit = 55; bit >= 0; --bit) {
    const uint64_t next = bit >= 29 ? (m >> (2 * bit - 58)) & 3ul : 0ul;
    rest = rest << 2 | next;
    const uint64_t trial = root << 2 | one_64;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= one_64;
    }
  }
  return pack_double(0ul, (root << 1) | (rest != 0 ? one_64 : 0ul), e / 2 - 30);
}

double divide(double a, double b) {
  if (!native_division_64) return divide_exactly(a, b);
  precise const double quotient = a / b;
  return quotient;
}
double square_root(double a) {
  if (!native_root_64) return square_root_exactly(a);
  precise const double root = sqrt(a);
  return root;
}
#endif
