// Shapes of tensors. An extent is a number, or, in an abstract tensor, an expression of symbols such as `batch`.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

#include "lockstep/call_site.h"
#include "lockstep/dtype.h"
#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

// An internal class, declared here so that its members are not exported: the namespace exports what it declares.
class LOCKSTEP_HIDDEN SymbolicTable;

inline constexpr int max_rank = 8;

/// Checked arithmetic for extents, positions, strides and byte counts; all arithmetic on such numbers uses these
/// functions. They throw ShapeError LS2005, for the op "shape", if the result does not fit into 64 bits.
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

/// One extent: a number >= 0, or a symbolic expression of named sizes. Eight bytes, cheap to copy. Symbolic expressions
/// are interned in canonical form, so that `==` compares polynomials correctly: `batch*784/784 == batch`.
class Dim {
 public:
  /// Throws ShapeError LS2005 for a negative number.
  constexpr Dim(std::int64_t value = 0,  // NOLINT: implicit
                CallSite where = CallSite::current())
      : value_(value >= 0 ? value : fail_negative(value, where)) {}

  /// The size called `name`; the same name is the same size everywhere.
  static Dim symbol(std::string_view name);

  constexpr bool is_known() const { return value_ >= 0; }

  /// The number, or the handle of a symbolic expression, as it is stored in op attributes.
  constexpr std::int64_t raw() const { return value_; }
  /// The inverse of raw(). Throws ShapeError LS2005 for a negative number that is not a handle.
  static Dim from_raw(std::int64_t raw) {
    Dim d;
    d.value_ = raw >= 0 ? raw : known_handle(raw);
    return d;
  }

  /// The number; throws TraceError LS4101 for a symbolic dimension.
  std::int64_t value() const { return is_known() ? value_ : fail_symbolic(); }

  /// False only if both are known and differ: a symbolic extent may turn out to be equal.
  friend bool may_equal(Dim a, Dim b) { return a.value_ == b.value_ || !a.is_known() || !b.is_known(); }

  friend bool operator==(Dim a, Dim b) = default;
  /// Sums, products and symbolic coefficients that do not fit into 64 bits throw ShapeError LS2005.
  friend Dim operator+(Dim a, Dim b) {
    Dim sum;
    const bool fits = !__builtin_add_overflow(a.value_, b.value_, &sum.value_);
    return fits && (a.value_ | b.value_) >= 0 ? sum : add(a, b);  // symbols are negative
  }
  /// Throws ShapeError LS2005 if the difference is a negative number.
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
  static std::int64_t fail_negative(std::int64_t value, CallSite where);

  std::int64_t value_;  // >= 0: the extent; < 0: -1 - index of an interned expression
};

/// The extents of a tensor, outermost first; at most eight. A tensor with a shape of rank 0 has one element.
class Shape {
 public:
  constexpr Shape() = default;
  Shape(std::initializer_list<Dim> dims,  // NOLINT: brace lists are shapes
        CallSite where = CallSite::current());
  explicit Shape(std::span<const Dim> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  constexpr int rank() const { return rank_; }

  /// Extent of dimension i; negative i counts from the end. Throws for a symbolic extent; see `dim`.
  std::int64_t operator[](int i) const { return dim(i).value(); }
  /// Throws ShapeError LS2004 if there is no dimension i.
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

  /// Whether at least one extent is known to be 0.
  bool is_empty() const {
    for (int i = 0; i < rank_; ++i) {
      if (dims_[static_cast<std::size_t>(i)] == Dim(0)) return true;
    }
    return false;
  }

  /// The number of elements; throws TraceError LS4101 for a symbolic shape, ShapeError LS2005 beyond 64 bits.
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

/// See TensorSpec::is_countable.
inline bool is_countable(DType dtype, const Shape& shape) {
  auto n = static_cast<std::int64_t>(size_of(dtype));
  for (Dim d : shape.dims()) {
    if (d.raw() > 1 && __builtin_mul_overflow(n, d.raw(), &n)) return false;
  }
  return true;
}

/// The dtype and shape of a tensor.
struct TensorSpec {
  DType dtype = DType::f32;
  Shape shape;
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;

  /// The bytes of all elements. Throws the same errors as Shape::size().
  std::int64_t bytes() const {
    auto n = static_cast<std::int64_t>(size_of(dtype));
    for (Dim d : shape.dims()) {
      if (__builtin_mul_overflow(n, d.value(), &n)) return large_bytes();
    }
    return n;
  }
  /// Whether the size in bytes fits into 63 bits if extents that are 0 or symbolic are left out of the product. The
  /// product of any subset of the extents then fits too. This holds for every tensor and view that has elements, and
  /// for the empty tensors that may be passed to kernels.
  bool is_countable() const { return lockstep::is_countable(dtype, shape); }

 private:
  std::int64_t large_bytes() const;
};

}  // namespace lockstep
