// The scalar functions in long double, with which tests and references compare. Relative errors are below 1e-18, even
// where a function amplifies the error of its argument, as exp and erfc do for large ones.
#pragma once

#include <cmath>
#include <limits>

namespace lockstep::oracles {

/// A number as an unevaluated sum, with twice the mantissa.
struct Sum {
  long double high, low;
};

/// The error of the rounded product of a and b, exactly (Dekker, Numerische Mathematik 18, 1971). An fma would give it
/// as well, but that of long double is a slow library call.
inline long double product_error(long double a, long double b, long double product) {
  static_assert(std::numeric_limits<long double>::digits == 64, "the split is in halves of 32 bits");
  const auto split = [](long double v) {
    const long double scaled = (0x1p32L + 1) * v, high = scaled - (scaled - v);
    return Sum{high, v - high};
  };
  const Sum x = split(a), y = split(b);
  return ((x.high * y.high - product) + x.high * y.low + x.low * y.high) + x.low * y.low;
}

inline Sum operator*(Sum a, Sum b) {
  const long double high = a.high * b.high;
  return {high, product_error(a.high, b.high, high) + (a.high * b.low + a.low * b.high)};
}

/// Requires a.high >= b.high >= 0.
inline Sum operator+(Sum a, Sum b) {
  const long double high = a.high + b.high;
  return {high, (b.high - (high - a.high)) + (a.low + b.low)};
}

// Constants, each a double and the remainder.
inline constexpr Sum inverse_sqrt2{0.7071067811865476, -4.833646656726456518594e-17L};
inline constexpr Sum sqrt_8_over_pi{1.5957691216057308, -9.969308809110920314577e-17L};
inline constexpr Sum cubic_factor{0.044715, 2.196021142708559636958e-18L};
inline constexpr long double pi = 3.14159265358979323846264338327950288L;

/// Density of the normal distribution.
inline long double normal_pdf(long double z) { return std::exp(-z * z / 2) / std::sqrt(2 * pi); }

/// Distribution function of the normal distribution.
inline long double normal_cdf(long double z) {
  if (std::fabs(z) > 200) return z < 0 ? 0 : 1;  // also keeps out 0 times infinity
  const Sum argument = Sum{-z, 0} * inverse_sqrt2;
  const long double slope = 2 / std::sqrt(pi) * std::exp(-argument.high * argument.high);
  return (std::erfc(argument.high) - slope * argument.low) / 2;
}

/// 1 - tanh(x)^2.
inline long double tanh_slope(long double x) {
  const long double t = std::exp(-2 * std::fabs(x));
  return 4 * t / ((1 + t) * (1 + t));
}

inline long double sigmoid(long double x) {
  const long double t = std::exp(-std::fabs(x));
  return (x < 0 ? t : 1) / (1 + t);
}

// Beyond the bound, x times the vanishing factor is below every result type; at infinity it would be infinity times 0.
inline long double silu(long double x) { return x < -10000 ? -0.0L : x * sigmoid(x); }
inline long double gelu(long double x) { return std::fabs(x) > 100 ? (x < 0 ? -0.0L : x) : x * normal_cdf(x); }

/// x sigmoid(2 u) with 2 u = sqrt(8 / pi) (x + 0.044715 x^3), with twice the mantissa.
inline long double gelu_tanh(long double x) {
  if (std::fabs(x) > 60) return x < 0 ? -0.0L : x;
  const Sum magnitude{std::fabs(x), 0};
  const Sum cubic = cubic_factor * magnitude * magnitude;
  const Sum exponent = sqrt_8_over_pi * magnitude * (cubic.high > 1 ? cubic + Sum{1, 0} : Sum{1, 0} + cubic);
  const long double t = std::exp(-exponent.high) * (1 - exponent.low);
  return x * (x < 0 ? t : 1) / (1 + t);
}

/// NaN propagates; -0 < +0.
inline long double minimum(long double a, long double b) {
  if (std::isnan(a) || std::isnan(b)) return a + b;
  return a < b || (a == b && std::signbit(a)) ? a : b;
}
inline long double maximum(long double a, long double b) { return -minimum(-a, -b); }

/// Halley's method, on erf in the middle and on the distribution function in the tails.
inline long double inverse_normal_cdf(long double p) {
  if (std::isnan(p) || p < 0 || p > 1) return std::nanl("");
  if (p == 0 || p == 1) return p == 0 ? -HUGE_VALL : HUGE_VALL;
  const long double tail = p < 0.5L ? p : 1 - p;
  const long double r = std::sqrt(-2 * std::log(tail));
  // The start is formula 26.2.23 of Abramowitz and Stegun, with an error below 4.5e-4.
  long double z =
      r - (2.515517L + r * (0.802853L + r * 0.010328L)) / (1 + r * (1.432788L + r * (0.189269L + r * 0.001308L)));
  for (int i = 0; i < 3; ++i) {
    const long double excess = tail > 0.25L
                                   ? std::erf(z * inverse_sqrt2.high + z * inverse_sqrt2.low) / 2 - (0.5L - tail)
                                   : tail - normal_cdf(-z);
    const long double step = excess / normal_pdf(z);
    z -= step / (1 + z * step / 2);
  }
  return p < 0.5L ? -z : z;
}

}  // namespace lockstep::oracles
