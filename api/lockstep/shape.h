// Extents of tensors. A dimension is a number, or, while a model is only being described, a symbol such as `batch`.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include "lockstep/dtype.h"
#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

inline constexpr int max_rank = 8;

/// Sums, differences and products of extents, positions, strides and byte counts; all arithmetic on such numbers goes
/// through these. Throw ShapeError LS2005, for the op "shape", where the result does not fit into 64 bits.
[[noreturn]] void fail_overflow(std::int64_t a, const char* sign, std::int64_t b);
inline std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) fail_overflow(a, "+", b);
  return result;
}
inline std::int64_t checked_sub(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_sub_overflow(a, b, &result)) fail_overflow(a, "-", b);
  return result;
}
inline std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) fail_overflow(a, "*", b);
  return result;
}

/// One extent: a number >= 0, or a symbolic expression over named sizes. Eight bytes, cheap to copy; symbolic
/// expressions are interned in canonical form, so `==` decides equality of polynomials such as `batch*784/784 ==
/// batch`.
class Dim {
 public:
  /// Throws ShapeError LS2005 for a negative number.
  constexpr Dim(std::int64_t value = 0,  // NOLINT: implicit
                const std::source_location& where = std::source_location::current())
      : value_(value >= 0 ? value : fail_negative(value, where)) {}

  /// The size called `name`; the same name is the same size everywhere.
  static Dim symbol(std::string_view name);

  constexpr bool is_known() const { return value_ >= 0; }

  /// The number, or the handle of a symbolic expression, as op attributes carry it.
  constexpr std::int64_t raw() const { return value_; }
  /// Throws ShapeError LS2005 for a negative number that is no such handle.
  static Dim from_raw(std::int64_t raw) {
    Dim d;
    d.value_ = raw >= 0 ? raw : known_handle(raw);
    return d;
  }

  /// The number; throws TraceError LS4101 for a symbolic dimension.
  std::int64_t value() const { return is_known() ? value_ : fail_symbolic(); }

  /// True unless both are known and differ: a symbolic size may turn out equal.
  friend bool may_equal(Dim a, Dim b) { return a.value_ == b.value_ || !a.is_known() || !b.is_known(); }

  friend bool operator==(Dim a, Dim b) = default;
  /// Sums, products and coefficients of symbols beyond 64 bits throw ShapeError LS2005.
  friend Dim operator+(Dim a, Dim b) {
    Dim sum;
    const bool fits = !__builtin_add_overflow(a.value_, b.value_, &sum.value_);
    return fits && (a.value_ | b.value_) >= 0 ? sum : add(a, b);  // symbols are negative
  }
  /// Throws ShapeError LS2005 where the difference is a negative number.
  friend Dim operator-(Dim a, Dim b) {
    return a.is_known() && b.is_known() && a.value_ >= b.value_ ? Dim(a.value_ - b.value_) : subtract(a, b);
  }
  friend Dim operator*(Dim a, Dim b) {
    Dim product;
    const bool fits = !__builtin_mul_overflow(a.value_, b.value_, &product.value_);
    return fits && (a.value_ | b.value_) >= 0 ? product : multiply(a, b);
  }

  /// Quotient rounded down. Throws ShapeError LS2005 for a division by 0.
  friend Dim floor_div(Dim a, Dim b) { return a.value_ >= 0 && b.value_ > 0 ? Dim(a.value_ / b.value_) : divide(a, b); }

  std::string to_string() const;

 private:
  friend class SymbolicTable;
  static Dim add(Dim a, Dim b);
  static Dim subtract(Dim a, Dim b);
  static Dim multiply(Dim a, Dim b);
  static Dim divide(Dim a, Dim b);
  static std::int64_t known_handle(std::int64_t raw);
  std::int64_t fail_symbolic() const;
  static std::int64_t fail_negative(std::int64_t value, const std::source_location& where);

  std::int64_t value_;  // >= 0: the extent; < 0: -1 - index of an interned expression
};

/// The extents of a tensor, outermost first; at most eight of them. A shape of rank 0 is a single element.
class Shape {
 public:
  constexpr Shape() = default;
  Shape(std::initializer_list<Dim> dims,  // NOLINT: brace lists are shapes
        const std::source_location& where = std::source_location::current());
  explicit Shape(std::span<const Dim> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  constexpr int rank() const { return rank_; }

  /// Extent of dimension i; negative i counts from the end. Throws for a symbolic extent; see `dim`.
  std::int64_t operator[](int i) const { return dim(i).value(); }
  /// Throws ShapeError LS2004 where there is no dimension i.
  Dim dim(int i) const { return dims_[position(i)]; }
  void set_dim(int i, Dim value) { dims_[position(i)] = value; }
  void append(Dim dim);

  bool is_known() const {
    for (int i = 0; i < rank_; ++i) {
      if (!dims_[static_cast<std::size_t>(i)].is_known()) return false;
    }
    return true;
  }

  /// Product of the extents; 1 for rank 0.
  Dim element_count() const;

  /// Whether an extent is known to be 0.
  bool is_empty() const {
    for (int i = 0; i < rank_; ++i) {
      if (dims_[static_cast<std::size_t>(i)] == Dim(0)) return true;
    }
    return false;
  }

  /// The product as a number; throws TraceError LS4101 for symbolic shapes, ShapeError LS2005 beyond 64 bits.
  std::int64_t size() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) {
      if (__builtin_mul_overflow(n, dims_[static_cast<std::size_t>(i)].value(), &n)) return element_count().value();
    }
    return n;
  }

  std::span<const Dim> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (!(a.dims_[static_cast<std::size_t>(i)] == b.dims_[static_cast<std::size_t>(i)])) return false;
    }
    return true;
  }

  /// "(2, 3)", "()" or "(batch, 28, 28, 1)".
  std::string to_string() const;

 private:
  std::size_t position(int i) const {
    const int from_front = i < 0 ? i + rank_ : i;
    if (static_cast<unsigned>(from_front) >= static_cast<unsigned>(rank_)) fail_position(i);
    return static_cast<std::size_t>(from_front);
  }
  [[noreturn]] void fail_position(int i) const;

  std::array<Dim, max_rank> dims_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// See Spec::is_countable.
inline bool is_countable(DType dtype, const Shape& shape) {
  auto n = static_cast<std::int64_t>(size_of(dtype));
  for (Dim d : shape.dims()) {
    if (d.raw() > 1 && __builtin_mul_overflow(n, d.raw(), &n)) return false;
  }
  return true;
}

/// What is known of a tensor before it exists.
struct Spec {
  DType dtype = DType::f32;
  Shape shape;
  friend bool operator==(const Spec&, const Spec&) = default;

  /// Bytes of all elements. Throws as Shape::size().
  std::int64_t bytes() const {
    auto n = static_cast<std::int64_t>(size_of(dtype));
    for (Dim d : shape.dims()) {
      if (__builtin_mul_overflow(n, d.value(), &n)) return large_bytes();
    }
    return n;
  }
  /// Whether 63 bits count the bytes, and the product of any of the extents: those of 0 are left out of it, and so are
  /// symbolic ones. Every tensor with elements is so, also a view; of empty tensors those that kernels may be given.
  bool is_countable() const { return lockstep::is_countable(dtype, shape); }

 private:
  std::int64_t large_bytes() const;
};

}  // namespace lockstep
