#include "conformance/checks/slopes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "conformance/cases/float_format.h"

namespace lockstep::conformance {
namespace {

// Slopes that are powers of the distance change by more than this, slopes that tend to a number by less.
constexpr long double grows = 1.2L;

}  // namespace

SlopeTolerance slope_tolerance(DType dtype, MathMode mode) {
  const DType computed = mode == MathMode::fast && dtype == DType::f32 ? DType::bf16 : dtype;
  const FloatFormat format = float_format(dtype);
  // Steps are 1e-7 of the operand, so difference quotients are off by about as much. f16 and bf16 round after each of
  // a few ops.
  long double relative = 2e-4L, absolute = 2e-6L;
  if (is_half_width(computed)) relative = absolute = std::ldexp(8.0L, -float_format(computed).mantissa - 1);
  return {relative, absolute, format.largest(), format.least()};
}

long double moved(long double x, int direction) {
  const long double step = x == 0 ? 1e-12L : 1e-7L * std::fabs(x);
  return x + direction * step;
}

bool is_absorbed(long double y, long double step, long double change) {
  const long double least = 0x1p-40L * std::fabs(y);
  return std::fabs(step) < least && std::fabs(change) < least;
}

bool same(long double a, long double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void Sides::add(long double slope) {
  if (!std::isfinite(slope)) return;
  low = std::min(low, slope);
  high = std::max(high, slope);
  ++count;
}

bool lies_between(long double given, const Sides& s, long double weight, const SlopeTolerance& tolerance) {
  const long double slack = tolerance.relative * std::max(std::fabs(s.low), std::fabs(s.high)) +
                            tolerance.absolute * std::fabs(weight) + 4 * tolerance.least;
  if (std::isinf(given)) return given > 0 ? s.high + slack >= tolerance.largest : s.low - slack <= -tolerance.largest;
  return s.low - slack <= given && given <= s.high + slack;
}

bool is_limit(long double given, long double near, long double nearer, long double cotangent,
              const SlopeTolerance& tolerance) {
  if (std::fabs(nearer) > grows * std::fabs(near)) {
    return std::isinf(given) && std::signbit(given) == std::signbit(nearer * cotangent);
  }
  Sides exact;
  exact.add(std::fabs(near) > grows * std::fabs(nearer) ? 0 : nearer * cotangent);
  return lies_between(given, exact, 0, tolerance);
}

std::string place_text(std::size_t input, std::size_t at, long double given, const std::string& wanted) {
  char text[160];
  std::snprintf(text, sizeof text, "gradient of input %zu, element %zu: the tape gives %.10Lg, ", input, at, given);
  return text + wanted;
}

std::string between_text(const Sides& s) {
  char text[120];
  std::snprintf(text, sizeof text, "the slopes of the oracle on both sides are %.10Lg and %.10Lg", s.low, s.high);
  return text;
}

}  // namespace lockstep::conformance
