#include "ops/launch_number.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <deque>
#include <map>
#include <tuple>

#include "api/internal/mutex.h"
#include "lockstep/error.h"
#include "runtime/inline_vector.h"
#include "runtime/symbolic.h"

namespace lockstep {
namespace {

// -------------------------------------------------------------------------------------------------------- expressions

struct NumberEntry {
  NumberOp op = NumberOp::constant;
  NumberKind kind = NumberKind::integer;
  std::uint32_t a = 0, b = 0;
  NumberValue constant;
  std::string name;  // of a symbol

  auto key() const {
    return std::tuple(op, kind, a, b, constant.kind, std::bit_cast<std::uint64_t>(constant.real), constant.bits, name);
  }
};

// Handles are positions plus one, because 0 in a Scalar is a plain number.
class NumberTable {
 public:
  static NumberTable& instance() {
    static auto* table = new NumberTable;  // never destroyed: numbers may outlive static destruction
    return *table;
  }

  std::uint32_t add(const NumberEntry& entry) {
    LockGuard lock(mutex_);
    const auto [it, fresh] = index_.try_emplace(entry.key(), static_cast<std::uint32_t>(entries_.size() + 1));
    if (fresh) entries_.push_back(entry);
    return it->second;
  }
  /// Entries do not change and do not move. Throws StateError LS1008 for a handle that was not given out.
  const NumberEntry& operator[](std::uint32_t handle) {
    const NumberEntry* entry = nullptr;
    {
      LockGuard lock(mutex_);
      if (handle - 1 < entries_.size()) entry = &entries_[handle - 1];
    }
    if (!entry) {
      ErrorBuilder(ErrorId::invalid_use, "number",
                   "a number's at_launch is " + std::to_string(handle) + ", which nothing has")
          .fix("leave it 0: the runtime alone makes numbers that are known only at launch")
          .raise();
    }
    return *entry;
  }

 private:
  Mutex mutex_;
  std::deque<NumberEntry> entries_ LOCKSTEP_GUARDED_BY(mutex_);
  std::map<decltype(NumberEntry().key()), std::uint32_t> index_ LOCKSTEP_GUARDED_BY(mutex_);
};

LaunchNumber number_of(const NumberEntry& entry) {
  Scalar number;
  number.kind = entry.kind == NumberKind::real ? Scalar::Kind::floating : Scalar::Kind::integer;
  number.at_launch = NumberTable::instance().add(entry);
  return LaunchNumber(number);
}

std::uint32_t entry_of(const LaunchNumber& x) {
  if (!x.is_known()) return x.scalar().at_launch;
  NumberEntry entry;
  entry.constant = NumberValue::of(x.scalar());
  entry.kind = entry.constant.kind;
  return NumberTable::instance().add(entry);
}

const char* sign_of(NumberOp op) {
  switch (op) {
    case NumberOp::add: return "+";
    case NumberOp::subtract: return "-";
    case NumberOp::multiply: return "*";
    default: return "/";
  }
}

std::string text_of(const NumberValue& value) {
  if (value.kind == NumberKind::counter) return std::to_string(value.bits);
  if (value.kind == NumberKind::integer) return std::to_string(static_cast<std::int64_t>(value.bits));
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value.real);
  return text;
}

std::string text_of(std::uint32_t handle, bool as_operand = false) {
  const NumberEntry& entry = NumberTable::instance()[handle];
  switch (entry.op) {
    case NumberOp::constant: return text_of(entry.constant);
    case NumberOp::symbol: return entry.name;
    case NumberOp::as_real: return "real(" + text_of(entry.a) + ")";
    case NumberOp::low_word: return "low(" + text_of(entry.a) + ")";
    case NumberOp::high_word: return "high(" + text_of(entry.a) + ")";
    case NumberOp::integer_div: return "div(" + text_of(entry.a) + ", " + text_of(entry.b) + ")";
    default: break;
  }
  const std::string text = text_of(entry.a, true) + sign_of(entry.op) + text_of(entry.b, true);
  return as_operand ? "(" + text + ")" : text;
}

// --------------------------------------------------------------------------------------------------------- arithmetic

[[noreturn]] void fail(ErrorId id, const std::string& what, const char* fix) {
  ErrorBuilder(id, "number", what).fix(fix).raise();
}

[[noreturn]] void fail_range(const NumberValue& a, NumberOp op, const NumberValue& b) {
  fail(ErrorId::invalid_attribute, text_of(a) + " " + sign_of(op) + " " + text_of(b) + " is outside of i64",
       "compute it in real numbers, or as a counter, which wraps around");
}

NumberKind common(NumberKind a, NumberKind b) {
  if (a == NumberKind::real || b == NumberKind::real) return NumberKind::real;
  return a == NumberKind::counter || b == NumberKind::counter ? NumberKind::counter : NumberKind::integer;
}

NumberValue converted(NumberValue value, NumberKind kind) {
  if (value.kind == kind) return value;
  if (kind == NumberKind::real) {
    const bool is_signed = value.kind == NumberKind::integer;
    return {kind,
            is_signed ? static_cast<double>(static_cast<std::int64_t>(value.bits)) : static_cast<double>(value.bits)};
  }
  return {kind, 0, value.bits};
}

double real_result(NumberOp op, double a, double b) {
  switch (op) {
    case NumberOp::add: return a + b;
    case NumberOp::subtract: return a - b;
    case NumberOp::multiply: return a * b;
    default: return a / b;
  }
}

std::uint64_t unsigned_result(NumberOp op, std::uint64_t a, std::uint64_t b) {
  switch (op) {
    case NumberOp::add: return a + b;
    case NumberOp::subtract: return a - b;
    case NumberOp::multiply: return a * b;
    default: return a / b;
  }
}

std::uint64_t signed_result(NumberOp op, const NumberValue& x, const NumberValue& y) {
  const auto a = static_cast<std::int64_t>(x.bits), b = static_cast<std::int64_t>(y.bits);
  std::int64_t result = 0;
  bool overflows = false;
  switch (op) {
    case NumberOp::add: overflows = __builtin_add_overflow(a, b, &result); break;
    case NumberOp::subtract: overflows = __builtin_sub_overflow(a, b, &result); break;
    case NumberOp::multiply: overflows = __builtin_mul_overflow(a, b, &result); break;
    default:
      overflows = a == INT64_MIN && b == -1;
      if (!overflows) result = a / b;
  }
  if (overflows) fail_range(x, op, y);
  return static_cast<std::uint64_t>(result);
}

// `kind` is that of the result.
NumberValue computed(NumberOp op, NumberKind kind, const NumberValue& a, const NumberValue& b) {
  switch (op) {
    case NumberOp::as_real: return converted(a, NumberKind::real);
    case NumberOp::low_word: return {NumberKind::integer, 0, a.bits & 0xffffffffu};
    case NumberOp::high_word: return {NumberKind::integer, 0, a.bits >> 32};
    default: break;
  }
  const NumberValue x = converted(a, kind), y = converted(b, kind);
  if (kind == NumberKind::real) return {kind, real_result(op, x.real, y.real)};
  if (op == NumberOp::integer_div && y.bits == 0) {
    fail(ErrorId::invalid_attribute, text_of(a) + " is divided by 0", "check the values of the symbols");
  }
  return {kind, 0, kind == NumberKind::counter ? unsigned_result(op, x.bits, y.bits) : signed_result(op, x, y)};
}

LaunchNumber combined(NumberOp op, NumberKind kind, const LaunchNumber& a, const LaunchNumber& b) {
  if (a.is_known() && b.is_known()) {
    return LaunchNumber(computed(op, kind, NumberValue::of(a.scalar()), NumberValue::of(b.scalar())).scalar());
  }
  return number_of({op, kind, entry_of(a), entry_of(b), {}, {}});
}

LaunchNumber combined(NumberOp op, const LaunchNumber& a, const LaunchNumber& b) {
  return combined(op, common(a.kind(), b.kind()), a, b);
}

void require_integer(const LaunchNumber& x) {
  if (x.kind() != NumberKind::real) return;
  fail(ErrorId::invalid_use, "`" + x.to_string() + "` is a floating number", "give an integer");
}

LaunchNumber word_of(NumberOp op, const LaunchNumber& x) {
  require_integer(x);
  return combined(op, NumberKind::integer, x, x);
}

}  // namespace

void Scalar::fail_unknown() const {
  fail(ErrorId::symbolic_value, "the number `" + text_of(at_launch) + "` is known only at launch",
       "make the call on abstract tensors, or give a plain number");
}

// -------------------------------------------------------------------------------------------------------- NumberValue

NumberValue NumberValue::of(const Scalar& number) {
  if (number.kind == Scalar::Kind::floating) return {NumberKind::real, number.floating};
  return {number.above_int64 ? NumberKind::counter : NumberKind::integer, 0,
          static_cast<std::uint64_t>(number.integer)};
}

Scalar NumberValue::scalar() const {
  if (kind == NumberKind::real) return {real};
  return kind == NumberKind::counter ? Scalar(bits) : Scalar(static_cast<std::int64_t>(bits));
}

// ------------------------------------------------------------------------------------------------------- LaunchNumber

LaunchNumber LaunchNumber::symbol(std::string_view name, NumberKind kind) {
  return number_of({NumberOp::symbol, kind, 0, 0, {}, std::string(name)});
}

LaunchNumber LaunchNumber::of(Dim extent) {
  if (extent.is_known()) return extent.value();
  LaunchNumber sum = 0;
  bool first = true;
  for (const ExtentTerm& term : SymbolicTable::instance().terms(extent)) {
    LaunchNumber product = term.coefficient;
    for (const ExtentFactor& factor : term.factors) {
      const LaunchNumber next = factor.quotient ? integer_div(of(factor.quotient->first), of(factor.quotient->second))
                                                : symbol(factor.name, NumberKind::integer);
      const bool is_one = product.is_known() && product.scalar().integer == 1;
      product = is_one ? next : next * product;
    }
    sum = first ? product : sum + product;
    first = false;
  }
  return sum;
}

NumberKind LaunchNumber::kind() const {
  return is_known() ? NumberValue::of(number_).kind : NumberTable::instance()[number_.at_launch].kind;
}

std::string LaunchNumber::to_string() const {
  return is_known() ? text_of(NumberValue::of(number_)) : text_of(number_.at_launch);
}

LaunchNumber operator+(const LaunchNumber& a, const LaunchNumber& b) { return combined(NumberOp::add, a, b); }
LaunchNumber operator-(const LaunchNumber& a, const LaunchNumber& b) { return combined(NumberOp::subtract, a, b); }
LaunchNumber operator*(const LaunchNumber& a, const LaunchNumber& b) { return combined(NumberOp::multiply, a, b); }
LaunchNumber operator/(const LaunchNumber& a, const LaunchNumber& b) {
  return combined(NumberOp::divide, NumberKind::real, a, b);
}

LaunchNumber integer_div(const LaunchNumber& a, const LaunchNumber& b) {
  require_integer(a);
  require_integer(b);
  return combined(NumberOp::integer_div, a, b);
}

LaunchNumber as_real(const LaunchNumber& x) {
  return x.kind() == NumberKind::real ? x : combined(NumberOp::as_real, NumberKind::real, x, x);
}

LaunchNumber low_word(const LaunchNumber& x) { return word_of(NumberOp::low_word, x); }
LaunchNumber high_word(const LaunchNumber& x) { return word_of(NumberOp::high_word, x); }

// ------------------------------------------------------------------------------------------------------- LaunchValues

LaunchValues& LaunchValues::set(const LaunchNumber& symbol, const Scalar& value) {
  const std::uint32_t handle = symbol.scalar().at_launch;
  if (handle == 0 || NumberTable::instance()[handle].op != NumberOp::symbol) {
    fail(ErrorId::invalid_use, "`" + symbol.to_string() + "` is not a symbol", "give values to symbols only");
  }
  if (!value.is_known()) value.fail_unknown();
  const NumberKind kind = symbol.kind();
  const NumberValue given = NumberValue::of(value);
  const bool negative = given.kind == NumberKind::integer && static_cast<std::int64_t>(given.bits) < 0;
  if (kind != NumberKind::real && (given.kind == NumberKind::real ||
                                   (kind == NumberKind::integer ? given.kind == NumberKind::counter : negative))) {
    fail(ErrorId::invalid_attribute,
         "`" + symbol.to_string() + "` is " + (kind == NumberKind::integer ? "an integer of i64" : "a counter of u64") +
             ", which " + text_of(given) + " is not",
         "give an integer in that range");
  }
  const NumberValue held = converted(given, kind);
  for (Entry& entry : entries_) {
    if (entry.symbol != handle) continue;
    entry.value = held;
    return *this;
  }
  entries_.push_back({handle, held});
  return *this;
}

LaunchValues& LaunchValues::set(Dim symbol, std::int64_t extent) {
  return set(LaunchNumber::of(symbol), Scalar(static_cast<std::int64_t>(Dim(extent).value())));
}

const NumberValue* LaunchValues::find(std::uint32_t symbol) const {
  for (const Entry& entry : entries_) {
    if (entry.symbol == symbol) return &entry.value;
  }
  return nullptr;
}

// ------------------------------------------------------------------------------------------------------ LaunchFormula

LaunchFormula::LaunchFormula(const LaunchNumber& number) {
  std::vector<std::uint32_t> entries;
  add(entry_of(number), entries);
}

// Adds the steps that compute an entry, unless they are there already, and returns the last one.
std::uint32_t LaunchFormula::add(std::uint32_t entry, std::vector<std::uint32_t>& entries) {
  const auto known = std::find(entries.begin(), entries.end(), entry);
  if (known != entries.end()) return static_cast<std::uint32_t>(known - entries.begin());
  const NumberEntry& node = NumberTable::instance()[entry];
  Step step{node.op, node.kind, entry, 0, 0, node.constant};
  if (node.op != NumberOp::constant && node.op != NumberOp::symbol) {
    step.a = add(node.a, entries);
    step.b = add(node.b, entries);
  }
  entries.push_back(entry);
  steps_.push_back(step);
  return static_cast<std::uint32_t>(steps_.size() - 1);
}

Scalar LaunchFormula::value(const LaunchValues& values) const {
  InlineVector<NumberValue, 16> results;
  for (const Step& step : steps_) {
    if (step.op == NumberOp::constant) {
      results.push_back(step.constant);
    } else if (step.op == NumberOp::symbol) {
      const NumberValue* given = values.find(step.entry);
      if (!given) {
        fail(ErrorId::symbolic_value, "the number `" + text_of(step.entry) + "` has no value at this launch",
             "set one for each symbol");
      }
      results.push_back(*given);
    } else {
      results.push_back(computed(step.op, step.kind, results[step.a], results[step.b]));
    }
  }
  return results.back().scalar();
}

std::vector<LaunchNumber> LaunchFormula::symbols() const {
  std::vector<LaunchNumber> all;
  for (const Step& step : steps_) {
    if (step.op != NumberOp::symbol) continue;
    const NumberEntry& entry = NumberTable::instance()[step.entry];
    all.push_back(LaunchNumber::symbol(entry.name, entry.kind));
  }
  return all;
}

}  // namespace lockstep
