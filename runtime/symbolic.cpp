#include "runtime/symbolic.h"

#include <algorithm>

#include "lockstep/error.h"
#include "runtime/caller.h"

namespace lockstep {

SymbolicTable& SymbolicTable::instance() {
  static SymbolicTable* table = new SymbolicTable;  // never destroyed: shapes may outlive static destruction
  return *table;
}

std::uint32_t SymbolicTable::atom(const std::string& text) {
  auto [it, fresh] = atom_index_.try_emplace(text, static_cast<std::uint32_t>(atoms_.size()));
  if (fresh) atoms_.push_back(text);
  return it->second;
}

SymbolicTable::Polynomial SymbolicTable::polynomial_of(Dim d) const {
  if (!d.is_known()) return expressions_[static_cast<std::size_t>(-1 - d.value_)];
  if (d.value_ == 0) return {};
  return {{Monomial{}, d.value_}};
}

Dim SymbolicTable::intern(const Polynomial& p) {
  if (p.empty()) return Dim(0);
  const bool constant = p.size() == 1 && p.begin()->first.empty();
  if (constant) return Dim(p.begin()->second, CallSite());  // throws if it is negative
  auto [it, fresh] = expression_index_.try_emplace(p, static_cast<std::int64_t>(expressions_.size()));
  if (fresh) expressions_.push_back(p);
  Dim d;
  d.value_ = -1 - it->second;
  return d;
}

Dim SymbolicTable::symbol(std::string_view name) {
  LockGuard lock(mutex_);
  return intern({{Monomial{atom(std::string(name))}, 1}});
}

// Rejects INT64_MIN, whose negation does not fit into 64 bits.
void SymbolicTable::add_to(Polynomial& sum, const Monomial& monomial, std::int64_t coefficient) {
  std::int64_t& total = sum[monomial];
  const std::int64_t before = total;
  total = checked_add(before, coefficient);
  if (total == INT64_MIN) fail_overflow(before, "+", coefficient);
  if (total == 0) sum.erase(monomial);
}

bool SymbolicTable::holds(std::int64_t raw) {
  LockGuard lock(mutex_);
  return raw < 0 && static_cast<std::uint64_t>(-1 - raw) < expressions_.size();
}

Dim SymbolicTable::add(Dim a, Dim b, std::int64_t b_factor) {
  LockGuard lock(mutex_);
  Polynomial sum = polynomial_of(a);
  for (const auto& [monomial, coefficient] : polynomial_of(b)) add_to(sum, monomial, coefficient * b_factor);
  return intern(sum);
}

Dim SymbolicTable::multiply(Dim a, Dim b) {
  LockGuard lock(mutex_);
  Polynomial product;
  for (const auto& [ma, ca] : polynomial_of(a)) {
    for (const auto& [mb, cb] : polynomial_of(b)) {
      Monomial m;
      std::merge(ma.begin(), ma.end(), mb.begin(), mb.end(), std::back_inserter(m));
      add_to(product, m, checked_mul(ca, cb));
    }
  }
  return intern(product);
}

// Exact division by a single term. This is enough for reshape: (batch*784) / 784.
bool SymbolicTable::divides(const Polynomial& p, const Polynomial& q, Polynomial& quotient) const {
  if (q.size() != 1) return false;
  const auto& [divisor, factor] = *q.begin();
  for (const auto& [monomial, coefficient] : p) {
    if (coefficient % factor != 0) return false;
    if (!std::includes(monomial.begin(), monomial.end(), divisor.begin(), divisor.end())) return false;
    Monomial rest;
    std::set_difference(monomial.begin(), monomial.end(), divisor.begin(), divisor.end(), std::back_inserter(rest));
    quotient[rest] = coefficient / factor;
  }
  return true;
}

Dim SymbolicTable::floor_div(Dim a, Dim b) {
  LockGuard lock(mutex_);
  const Polynomial p = polynomial_of(a), q = polynomial_of(b);
  Polynomial quotient;
  if (p == q) return Dim(1);
  if (divides(p, q, quotient)) return intern(quotient);
  const std::uint32_t rounded = atom("(" + text_of(p) + ")/" + text_of(q));
  quotients_.try_emplace(rounded, a, b);
  return intern({{Monomial{rounded}, 1}});
}

std::vector<ExtentTerm> SymbolicTable::terms(Dim d) {
  LockGuard lock(mutex_);
  std::vector<ExtentTerm> all;
  for (const auto& [monomial, coefficient] : polynomial_of(d)) {
    ExtentTerm& term = all.emplace_back();
    term.coefficient = coefficient;
    for (std::uint32_t a : monomial) {
      const auto quotient = quotients_.find(a);
      term.factors.push_back({atoms_[a], std::nullopt});
      if (quotient != quotients_.end()) term.factors.back().quotient = quotient->second;
    }
  }
  return all;
}

std::string SymbolicTable::text_of(const Polynomial& p) const {
  std::string text;
  // Symbols first, the constant last: "batch*4 - 1".
  for (auto it = p.rbegin(); it != p.rend(); ++it) {
    const auto& [monomial, coefficient] = *it;
    const std::int64_t magnitude = coefficient < 0 ? -coefficient : coefficient;
    if (!text.empty() || coefficient < 0) text += coefficient < 0 ? "-" : "+";
    std::string term;
    for (std::uint32_t a : monomial) term += (term.empty() ? "" : "*") + atoms_[a];
    if (magnitude != 1 || term.empty()) term += (term.empty() ? "" : "*") + std::to_string(magnitude);
    text += term;
  }
  return text;
}

std::string SymbolicTable::to_string(Dim d) {
  LockGuard lock(mutex_);
  return text_of(polynomial_of(d));
}

Dim Dim::symbol(std::string_view name) { return SymbolicTable::instance().symbol(name); }

Dim Dim::add(Dim a, Dim b) {
  if (a.is_known() && b.is_known()) fail_overflow(a.value_, "+", b.value_);
  return SymbolicTable::instance().add(a, b, 1);
}

Dim Dim::subtract(Dim a, Dim b) {
  if (a.is_known() && b.is_known()) {
    ErrorBuilder(ErrorId::invalid_shape, "shape",
                 "an extent would be negative: " + a.to_string() + " - " + b.to_string())
        .fix("check the extents that it is computed from")
        .raise();
  }
  return SymbolicTable::instance().add(a, b, -1);
}

Dim Dim::multiply(Dim a, Dim b) {
  if (a.is_known() && b.is_known()) fail_overflow(a.value_, "*", b.value_);
  return SymbolicTable::instance().multiply(a, b);
}

Dim Dim::divide(Dim a, Dim b) {
  if (b == Dim(0)) {
    ErrorBuilder(ErrorId::invalid_shape, "shape", "an extent would be " + a.to_string() + " / 0")
        .fix("check the extents that it is computed from")
        .raise();
  }
  return SymbolicTable::instance().floor_div(a, b);
}

std::int64_t Dim::known_handle(std::int64_t raw) {
  return SymbolicTable::instance().holds(raw) ? raw : fail_negative(raw, CallSite());
}

std::string Dim::to_string() const {
  return is_known() ? std::to_string(value_) : SymbolicTable::instance().to_string(*this);
}

std::int64_t Dim::fail_negative(std::int64_t value, CallSite where) {
  ErrorBuilder error(ErrorId::invalid_shape, "shape", "extent " + std::to_string(value) + " is negative");
  if (!where.is_empty() && !is_library_line(where)) error.at(where);
  error.fix("extents are 0 or more").raise();
}

std::int64_t Dim::fail_symbolic() const {
  ErrorBuilder(ErrorId::symbolic_value, "shape", "the extent `" + to_string() + "` is not known yet")
      .fix("ask for extents inside ops, or build the model with a concrete shape")
      .raise();
}

}  // namespace lockstep
