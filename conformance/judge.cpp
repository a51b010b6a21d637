#include "conformance/judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "conformance/cases/values.h"

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

bool same(long double a, long double b, bool signed_zeros) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b && (a != 0 || !signed_zeros || std::signbit(a) == std::signbit(b));
}

std::string element_text(std::size_t i, long double result, long double exact, long double allowed) {
  char text[200];
  std::snprintf(text, sizeof text, "element %zu is %.12Lg, exact %.12Lg, off by %.3Lg, allowed %.3Lg", i, result, exact,
                std::fabs(result - exact), allowed);
  return text;
}

// Compares one pair of arrays.
class Judge {
 public:
  Judge(const RefArray& result, const RefArray& exact, const Measure& measure)
      : result_(result),
        exact_(exact),
        m_(measure),
        computed_(exact.rounded_from.value_or(exact.dtype)),
        format_(format_of(computed_)) {}

  Verdict run() {
    bool any_discriminates = exact_.values.empty();
    std::vector<float> ulps;
    long double signed_sum = 0;
    for (std::size_t i = 0; i < exact_.values.size(); ++i) {
      any_discriminates = look_at(i) || any_discriminates;
      if (!is_floating(exact_.dtype) || !std::isfinite(last_ulp_)) continue;
      ulps.push_back(static_cast<float>(std::fabs(last_ulp_)));
      signed_sum += last_ulp_;
    }
    verdict_.discriminates = any_discriminates;
    verdict_.errors.elements = static_cast<std::int64_t>(ulps.size());
    verdict_.errors.max_ulp = verdict_.worst_ulp;
    verdict_.errors.share = verdict_.worst;
    if (!ulps.empty()) {
      const std::size_t at = ulps.size() * 99 / 100;
      std::nth_element(ulps.begin(), ulps.begin() + static_cast<std::ptrdiff_t>(at), ulps.end());
      verdict_.errors.p99_ulp = ulps[at];
      verdict_.errors.mean_signed_ulp = static_cast<double>(signed_sum / static_cast<long double>(ulps.size()));
    }
    return std::move(verdict_);
  }

 private:
  // Whether the definition rounds this element only once. Then the exact result, rounded, is the only correct one.
  bool rounds_once(std::size_t i, long double e) const {
    const long double budget = exact_.budget.empty() ? 0 : exact_.budget[i];
    const long double min_normal = format_.smallest / (2 * format_.roundoff);
    return m_.bound.correct && budget <= std::max(std::fabs(e), min_normal) * (1 + 0x1p-30L);
  }

  long double allowed_at(std::size_t i, long double e) const {
    const Bound& b = m_.bound;
    if (!is_floating(exact_.dtype)) return 0;
    const long double budget = exact_.budget.empty() ? 0 : exact_.budget[i];
    if (m_.exact_sums && e == std::trunc(e)) return std::fabs(round_to(e, computed_) - e);
    if (rounds_once(i, e)) {
      // If the format is nearly as precise as the oracle's, the oracle's own rounding may decide a tie.
      return budget == 0 ? 0 : ulp_of(e, format_) * (0.5L + (computed_ == DType::f64 ? 0x1p-10L : 0x1p-30L));
    }
    long double allowed = 0;
    if (b.ulp) allowed = *b.ulp * ulp_of(e, format_);
    if (b.roundings) allowed = std::max(allowed, *b.roundings * budget * format_.roundoff);
    if (m_.argument && b.of_argument > 0 && m_.argument->values[i] < b.of_argument_below) {
      allowed = std::max(allowed, static_cast<long double>(b.of_argument) * std::fabs(m_.argument->values[i]));
    }
    // If the result is subnormal, each step may be off by half of the smallest number.
    const int steps = b.roundings && *b.roundings > 0 ? 4 : 1;
    return allowed > 0 ? allowed + steps * format_.smallest : 0;
  }

  // The number whose ULP is the unit of the reported error: the exact result, or the operands' magnitude if terms
  // cancel.
  long double size_at(std::size_t i, long double e) const {
    constexpr long double cancelled = 64;  // more roundings than a result without cancellation has
    const bool by_budget = m_.bound.roundings.value_or(0) > 0 && !exact_.budget.empty() && !rounds_once(i, e);
    return by_budget ? std::max(std::fabs(e), std::min(m_.typical, exact_.budget[i] / cancelled)) : e;
  }

  // Judges one element. Returns whether a wrong result would have failed.
  bool look_at(std::size_t i) {
    last_ulp_ = 0;
    if (!exact_.budget.empty() && exact_.budget[i] < 0) return false;  // any result is correct
    if (m_.bound.correct && std::isfinite(exact_.values[i]) && !rounds_once(i, exact_.values[i]))
      verdict_.by_budget = true;
    if (exact_.rounded_from) return look_at_rounded(i);
    const long double r = result_.values[i], e = exact_.values[i];
    const bool floating = is_floating(exact_.dtype);
    const bool finite = std::isfinite(r) && std::isfinite(e);
    long double allowed = finite || std::isinf(r) ? allowed_at(i, e) : 0;
    if (same(r, e, m_.bound.signed_zeros)) return discriminates(e, allowed);
    // If an error is allowed, a zero of the other sign is allowed too.
    if (floating && r == e && allowed > 0) return discriminates(e, allowed);
    if (floating && std::isinf(r) && std::isfinite(e) && std::signbit(r) == std::signbit(e) && overflows(e, allowed)) {
      return true;
    }
    const long double error = std::fabs(r - e);
    const bool wrong_zero = r == e && allowed == 0;  // a zero of the wrong sign
    const bool ok = finite && !wrong_zero && error <= allowed;
    if (finite && floating) {
      last_ulp_ = (r - e) / ulp_of(size_at(i, e), format_);
      note_worst(i, static_cast<double>(std::fabs(last_ulp_)));
    } else {
      last_ulp_ = std::numeric_limits<long double>::quiet_NaN();
    }
    verdict_.worst = std::max(verdict_.worst, ok ? static_cast<double>(error / allowed) : INFINITY);
    if (!ok && verdict_.ok) {
      verdict_.ok = false;
      verdict_.text = element_text(i, r, e, allowed);
    }
    return discriminates(e, allowed);
  }

  // The same for a result that was rounded once more at the end. It must be what some number within the bound rounds
  // to.
  bool look_at_rounded(std::size_t i) {
    const long double r = result_.values[i], e = exact_.values[i], rounded = round_to(e, exact_.dtype);
    const long double allowed = std::isfinite(e) ? allowed_at(i, e) : 0;
    const long double least = round_to(e - allowed, exact_.dtype), most = round_to(e + allowed, exact_.dtype);
    const bool comparable = std::isfinite(r) && std::isfinite(e);
    last_ulp_ = comparable ? (r - e) / ulp_of(size_at(i, e), format_of(exact_.dtype)) : 0;
    if (comparable) note_worst(i, static_cast<double>(std::fabs(last_ulp_)));
    // If the bound admits only one number or two neighbours, any other result would fail.
    const bool neighbours = least == most || most - least <= ulp_of(e, format_of(exact_.dtype)) * 1.5L;
    const bool discriminating = neighbours || discriminates(e, most - least);
    if (same(r, rounded, m_.bound.signed_zeros)) return discriminating;
    const bool ok = least <= r && r <= most && (allowed > 0 || r != 0);
    verdict_.worst = std::max<double>(verdict_.worst, ok ? 1 : INFINITY);
    if (!ok && verdict_.ok) {
      verdict_.ok = false;
      char text[200];
      std::snprintf(text, sizeof text, "element %zu is %.12Lg, exact %.12Lg, which rounds to between %.12Lg and %.12Lg",
                    i, r, e, least, most);
      verdict_.text = text;
    }
    return discriminating;
  }

  // Whether some value within the bound is so far beyond the largest number that it rounds to infinity.
  bool overflows(long double e, long double allowed) const {
    return std::fabs(e) + allowed * (1 - 0x1p-8L) > format_.largest + ulp_of(format_.largest, format_) / 2;
  }

  void note_worst(std::size_t i, double ulp) {
    if (ulp <= verdict_.worst_ulp) return;
    verdict_.worst_ulp = ulp;
    char text[220];
    if (m_.argument) {
      std::snprintf(text, sizeof text, "x = %.9Lg: %.9Lg, exact %.12Lg", m_.argument->values[i], result_.values[i],
                    exact_.values[i]);
    } else {
      std::snprintf(text, sizeof text, "element %zu: %.9Lg, exact %.12Lg", i, result_.values[i], exact_.values[i]);
    }
    verdict_.errors.worst = text;
  }

  // Whether a result of a different magnitude would be outside the bound.
  bool discriminates(long double e, long double allowed) const {
    if (!std::isfinite(e) || allowed <= 32 * format_.smallest) return true;
    return allowed <= std::max(std::fabs(e), m_.typical / 64) / 4;
  }

  const RefArray &result_, &exact_;
  const Measure& m_;
  const DType computed_;
  const Format format_;  // of the dtype before the last rounding
  Verdict verdict_;
  long double last_ulp_ = 0;
};

}  // namespace

Slack slack_for(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::sum: return {1, "the budget is the worst case of terms added one after the other"};
    case ErrorClass::composed:
      return {2, "second-order terms, and other orders of evaluation than the decomposition's"};
    default: return {1, "the budget is the sum of one rounding per step"};
  }
}

Verdict failure(std::string text) {
  Verdict v;
  v.ok = false;
  v.worst = INFINITY;
  v.text = std::move(text);
  return v;
}

Verdict judge(const RefArray& result, const RefArray& exact, const Measure& measure) {
  if (result.dtype != exact.dtype || !(result.shape == exact.shape)) {
    return failure("the result is " + std::string(name_of(result.dtype)) + " " + result.shape.to_string() +
                   ", expected " + std::string(name_of(exact.dtype)) + " " + exact.shape.to_string());
  }
  return Judge(result, exact, measure).run();
}

Verdict judge(const RefArray& result, const RefArray& exact, double slack) {
  Measure measure;
  measure.bound.roundings = slack;
  return judge(result, exact, measure);
}

}  // namespace lockstep::conformance
