// Numbers that are known only at launch: 1/batch, a learning rate, the position of a random stream. Calls on
// abstract tensors take them as operands and as an op's own numbers, so that what is recorded of a call does not freeze
// their values. They are computed on the host, at each launch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lockstep/shape.h"
#include "lockstep/tensor.h"

namespace lockstep {

/// In which arithmetic a number is computed.
enum class NumberKind : std::uint8_t {
  real,     // f64: each operation rounds once. An integer or counter beside it is converted, rounded once
  integer,  // i64: an overflow is an error. Beside a counter it is a counter
  counter,  // u64, modulo 2^64
};

/// A plain number, a symbol, or an expression of both. An expression is an entry of a table that lives as long as the
/// process, as symbolic extents are; equal expressions share an entry. Nothing is simplified, because that could change
/// the bits; only operations on plain numbers are carried out at once.
class LaunchNumber {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> LaunchNumber(T value) : number_(value) {}  // NOLINT: implicit by design
  explicit LaunchNumber(const Scalar& number) : number_(number) {}

  /// The number called `name`; the same name and kind are the same number everywhere. An extent called `name` is the
  /// integer of that name.
  static LaunchNumber symbol(std::string_view name, NumberKind kind);
  /// An extent, which may be symbolic, as an integer.
  static LaunchNumber of(Dim extent);

  bool is_known() const { return number_.is_known(); }
  NumberKind kind() const;
  /// As an op's own number, or as an operand.
  const Scalar& scalar() const { return number_; }
  operator const Scalar&() const { return number_; }  // NOLINT: implicit by design
  /// "1/batch".
  std::string to_string() const;

  friend LaunchNumber operator+(const LaunchNumber& a, const LaunchNumber& b);
  friend LaunchNumber operator-(const LaunchNumber& a, const LaunchNumber& b);
  friend LaunchNumber operator*(const LaunchNumber& a, const LaunchNumber& b);
  /// The quotient of the operands as real numbers, also of integers.
  friend LaunchNumber operator/(const LaunchNumber& a, const LaunchNumber& b);
  /// The quotient of integers, rounded toward zero. Throws ShapeError LS2007 for a division by 0.
  friend LaunchNumber integer_div(const LaunchNumber& a, const LaunchNumber& b);
  friend LaunchNumber as_real(const LaunchNumber& x);
  /// The lower or upper 32 bits of an integer or counter, as an integer.
  friend LaunchNumber low_word(const LaunchNumber& x);
  friend LaunchNumber high_word(const LaunchNumber& x);

 private:
  Scalar number_;
};

LaunchNumber integer_div(const LaunchNumber& a, const LaunchNumber& b);
LaunchNumber as_real(const LaunchNumber& x);
LaunchNumber low_word(const LaunchNumber& x);
LaunchNumber high_word(const LaunchNumber& x);

/// A number with its kind, while it is computed.
struct NumberValue {
  NumberKind kind = NumberKind::integer;
  double real = 0;
  std::uint64_t bits = 0;  // of an integer or counter

  /// Of a plain number: a counter only if it is above i64.
  static NumberValue of(const Scalar& number);
  Scalar scalar() const;
};

/// The values of symbols at a launch.
class LaunchValues {
 public:
  /// Sets or replaces the value, which is converted to the symbol's kind, rounded once. Throws StateError
  /// LS1008 if `symbol` is not a symbol, ShapeError LS2007 if an integer symbol cannot have that value.
  LaunchValues& set(const LaunchNumber& symbol, const Scalar& value);
  /// The same for the symbol of an extent.
  LaunchValues& set(Dim symbol, std::int64_t extent);

 private:
  friend class LaunchFormula;
  const NumberValue* find(std::uint32_t symbol) const;

  struct Entry {
    std::uint32_t symbol;
    NumberValue value;
  };
  std::vector<Entry> entries_;  // few, so that a search from the front is fast
};

enum class NumberOp : std::uint8_t {
  constant,
  symbol,
  add,
  subtract,
  multiply,
  divide,
  integer_div,
  as_real,
  low_word,
  high_word
};

/// A number that is ready to be computed at every launch. Immutable.
class LaunchFormula {
 public:
  explicit LaunchFormula(const LaunchNumber& number);

  /// Takes no lock, and allocates nothing unless the expression has more than 16 parts. Throws TraceError LS4101 if a
  /// symbol has no value, ShapeError LS2007 if an integer overflows.
  Scalar value(const LaunchValues& values) const;

  /// The table's entries of the symbols that it reads, each once.
  std::vector<LaunchNumber> symbols() const;

 private:
  struct Step {
    NumberOp op = NumberOp::constant;
    NumberKind kind = NumberKind::integer;  // of the result
    std::uint32_t entry = 0;                // of the table, for symbols and messages
    std::uint32_t a = 0, b = 0;             // earlier steps
    NumberValue constant;
  };
  std::uint32_t add(std::uint32_t entry, std::vector<std::uint32_t>& entries);

  std::vector<Step> steps_;  // the last one is the number
};

}  // namespace lockstep
