#include "conformance/judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace lockstep::conformance {
namespace {

struct Format {
  long double roundoff, smallest, largest;
  int mantissa;
};

Format format_of(DType t) {
  switch (t) {
    case DType::f64: return {0x1p-53L, 0x1p-1074L, std::numeric_limits<double>::max(), 52};
    case DType::f16: return {0x1p-11L, 0x1p-24L, 65504, 10};
    case DType::bf16: return {0x1p-8L, 0x1p-133L, 3.3895313892515355e38L, 7};
    default: return {0x1p-24L, 0x1p-149L, std::numeric_limits<float>::max(), 23};
  }
}

long double ulp_of(long double x, const Format& f) {
  if (x == 0 || !std::isfinite(x)) return f.smallest;
  return std::max(std::ldexp(1.0L, std::ilogb(x) - f.mantissa), f.smallest);
}

bool same(long double a, long double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b && (a != 0 || std::signbit(a) == std::signbit(b));
}

std::string element_text(std::size_t i, long double result, long double exact, long double allowed) {
  char text[160];
  std::snprintf(text, sizeof text, "element %zu is %.12Lg, exact %.12Lg, off by %.3Lg, allowed %.3Lg", i, result, exact,
                std::fabs(result - exact), allowed);
  return text;
}

}  // namespace

Slack slack_for(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::sum: return {1, "the budget is the worst case of terms added one after the other"};
    case ErrorClass::composed:
      return {2, "second-order terms, and other orders of evaluation than the decomposition's"};
    default: return {1, "the budget is the sum of one rounding per step"};
  }
}

Verdict judge(const RefArray& result, const RefArray& exact, double slack) {
  Verdict verdict;
  if (result.dtype != exact.dtype || !(result.shape == exact.shape)) {
    verdict.ok = false;
    verdict.text = "the result is " + std::string(name_of(result.dtype)) + " " + result.shape.to_string() +
                   ", expected " + std::string(name_of(exact.dtype)) + " " + exact.shape.to_string();
    return verdict;
  }
  const bool floating = is_floating(exact.dtype);
  const Format format = format_of(exact.dtype);
  for (std::size_t i = 0; i < exact.values.size(); ++i) {
    const long double r = result.values[i], e = exact.values[i];
    if (same(r, e) || (floating && r == e)) continue;
    long double allowed = 0, error = std::fabs(r - e);
    if (floating && !exact.budget.empty() && std::isfinite(r) && std::isfinite(e)) {
      allowed = slack * exact.budget[i] * format.roundoff + format.smallest;
    }
    // An exact value beyond the largest number rounds to infinity.
    if (floating && std::isinf(r) && std::signbit(r) == std::signbit(e) &&
        std::fabs(e) + slack * ulp_of(format.largest, format) > format.largest) {
      continue;
    }
    const double relative =
        error <= allowed ? static_cast<double>(error / std::max(allowed, format.smallest)) : INFINITY;
    const bool ok = error <= allowed;
    if (floating && std::isfinite(error))
      verdict.worst_ulp = std::max(verdict.worst_ulp, static_cast<double>(error / ulp_of(e, format)));
    verdict.worst = std::max(verdict.worst, relative);
    if (ok || !verdict.ok) continue;
    verdict.ok = false;
    verdict.text = element_text(i, r, e, allowed);
  }
  return verdict;
}

}  // namespace lockstep::conformance
