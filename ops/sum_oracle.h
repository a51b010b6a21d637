// Sums for the oracle: exact enough, wrapping for integers, and with an error budget derived from the terms.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep {

/// The magnitude that the rounding error of a result scales with. For a subnormal result, the least normal number.
inline long double rounding_scale(long double value, DType t) {
  const long double least = compute_dtype(t) == DType::f64 ? 0x1p-1022L : 0x1p-126L;
  // Not fmax, which is a library call: the oracles of products ask once per term.
  const long double magnitude = std::fabs(value);
  return value == 0 ? 0 : magnitude > least ? magnitude : least;
}

/// A budget for a value that the definition does not determine. Every negative budget means this.
inline constexpr long double unbounded_budget = -1;

class SumOracle {
 public:
  /// Sums into `out`, which starts at zero. The results are complete after finish().
  explicit SumOracle(RefArray& out) : out_(out), terms_(out.values.size()) { out.budget.assign(out.values.size(), 0); }

  void add(std::size_t at, long double term) { add_term(at, term, 1, std::fabs(term)); }
  /// Adds a term that was already rounded.
  void add_rounded(std::size_t at, long double term) { add_term(at, term, 1, rounding_scale(term, out_.dtype)); }
  void add_product(std::size_t at, long double a, long double b) {
    add_term(at, a, b, rounding_scale(a * b, out_.dtype));
  }
  /// Adds `count` products to one place: of the elements of `a` and `b`, each with a distance between its elements.
  void add_products(std::size_t at, const long double* a, std::ptrdiff_t a_step, const long double* b,
                    std::ptrdiff_t b_step, std::int64_t count) {
    if (is_integer_) {
      for (; count > 0; --count, a += a_step, b += b_step) add_term(at, *a, *b, 0);
      return;
    }
    // Local copies: the compiler cannot know that the operands lie elsewhere.
    Terms t = terms_[at];
    long double sum = out_.values[at];
    t.count += count;
    for (; count > 0; --count, a += a_step, b += b_step) {
      const long double term = *a * *b;
      accumulate(t, sum, term, rounding_scale(term, out_.dtype));
    }
    terms_[at] = t;
    out_.values[at] = sum;
  }
  /// Adds factor · values[i] to place at + i, for `count` places.
  void add_multiples(std::size_t at, long double factor, const long double* values, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) add_product(at + static_cast<std::size_t>(i), factor, values[i]);
  }

  /// Computes the error bound for terms that are rounded and added one after the other: the number of terms plus one,
  /// times the sum of magnitudes, in units of the unit roundoff (Higham, "Accuracy and stability of numerical
  /// algorithms", section 3.1). If the magnitudes add up to more than the dtype holds, some orders of summation
  /// overflow and there is no bound.
  void finish() {
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      if (out_.dtype == DType::i32) out_.values[i] = static_cast<std::int32_t>(terms_[i].wrapped);
      if (out_.dtype == DType::i64)
        out_.values[i] = static_cast<long double>(static_cast<std::int64_t>(terms_[i].wrapped));
      const Terms& t = terms_[i];
      // If all terms have one sign, infinite ones included, every order overflows, so the result is determined.
      const bool may_overflow = is_floating(out_.dtype) && t.finite_magnitude > largest(compute_dtype(out_.dtype)) &&
                                t.has_positive && t.has_negative;
      out_.budget[i] = may_overflow ? unbounded_budget : t.scale * static_cast<long double>(t.count + 1);
    }
  }

 private:
  struct Terms {
    std::int64_t count = 0;
    std::uint64_t wrapped = 0;
    long double finite_magnitude = 0, scale = 0;
    bool has_positive = false, has_negative = false;
  };

  void add_term(std::size_t at, long double a, long double b, long double scale) {
    Terms& t = terms_[at];
    ++t.count;
    if (is_integer_) {
      t.wrapped += static_cast<std::uint64_t>(static_cast<std::int64_t>(a)) *
                   static_cast<std::uint64_t>(static_cast<std::int64_t>(b));
      return;
    }
    accumulate(t, out_.values[at], a * b, scale);
  }

  static void accumulate(Terms& t, long double& sum, long double term, long double scale) {
    sum += term;
    t.has_positive |= term > 0;
    t.has_negative |= term < 0;
    const long double magnitude = std::fabs(term);
    if (!(magnitude <= std::numeric_limits<long double>::max())) return;  // infinity or NaN
    t.finite_magnitude += magnitude;
    t.scale += scale;
  }

  static long double largest(DType t) {
    return t == DType::f64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  }
  RefArray& out_;
  bool is_integer_ = is_integer(out_.dtype);
  std::vector<Terms> terms_;
};

}  // namespace lockstep
