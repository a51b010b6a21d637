// The table of symbolic dimensions: polynomials in named sizes with integer coefficients. They are interned, so that
// equal expressions have equal handles.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/internal/mutex.h"
#include "lockstep/shape.h"

namespace lockstep {

/// A named size, or a quotient that is rounded down; then the name is its text.
struct ExtentFactor {
  std::string name;
  std::optional<std::pair<Dim, Dim>> quotient;
};
/// The product of a number and the factors.
struct ExtentTerm {
  std::int64_t coefficient = 0;
  std::vector<ExtentFactor> factors;
};

class SymbolicTable {
 public:
  static SymbolicTable& instance();

  Dim symbol(std::string_view name);
  Dim add(Dim a, Dim b, std::int64_t b_factor);
  Dim multiply(Dim a, Dim b);
  Dim floor_div(Dim a, Dim b);
  std::string to_string(Dim d);
  /// The terms of which the extent is the sum.
  [[gnu::visibility("hidden")]] std::vector<ExtentTerm> terms(Dim d);
  /// Whether a negative number is the handle of an expression.
  bool holds(std::int64_t raw);

 private:
  using Monomial = std::vector<std::uint32_t>;          // sorted atom indices; empty: the constant term
  using Polynomial = std::map<Monomial, std::int64_t>;  // no zero coefficients, none below -(2^63 - 1)

  static void add_to(Polynomial& sum, const Monomial& monomial, std::int64_t coefficient);
  Polynomial polynomial_of(Dim d) const LOCKSTEP_REQUIRES(mutex_);
  Dim intern(const Polynomial& p) LOCKSTEP_REQUIRES(mutex_);
  std::uint32_t atom(const std::string& text) LOCKSTEP_REQUIRES(mutex_);
  bool divides(const Polynomial& p, const Polynomial& q, Polynomial& quotient) const;
  std::string text_of(const Polynomial& p) const LOCKSTEP_REQUIRES(mutex_);

  Mutex mutex_;
  std::vector<std::string> atoms_ LOCKSTEP_GUARDED_BY(mutex_);  // names, and quotients such as "(h-2)/2"
  std::unordered_map<std::string, std::uint32_t> atom_index_ LOCKSTEP_GUARDED_BY(mutex_);
  std::map<std::uint32_t, std::pair<Dim, Dim>> quotients_ LOCKSTEP_GUARDED_BY(mutex_);  // by their atoms
  std::vector<Polynomial> expressions_ LOCKSTEP_GUARDED_BY(mutex_);
  std::map<Polynomial, std::int64_t> expression_index_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep
