// What the definition of an op says about its inputs, outputs and arguments: names, dtypes, kinds, defaults and docs.
// Drivers, the command line and bindings of other languages read these fields.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lockstep/driver.h"
#include "lockstep/dtype.h"
#include "lockstep/export.h"
#include "lockstep/shape.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

/// A set of dtypes.
struct TypeSet {
  std::uint16_t bits = 0;
  constexpr bool has(DType t) const { return is_dtype(t) && (bits >> static_cast<int>(t) & 1); }
  friend constexpr TypeSet operator|(TypeSet a, TypeSet b) { return {static_cast<std::uint16_t>(a.bits | b.bits)}; }
  std::string to_string() const;
};

namespace types {
template <class... T>
constexpr TypeSet of(T... t) {
  return {static_cast<std::uint16_t>((0 | ... | (1 << static_cast<int>(t))))};
}
inline constexpr TypeSet floating = of(f32, f64, f16, bf16);  // dtypes that have gradients
inline constexpr TypeSet index = of(i32, i64);
inline constexpr TypeSet numeric = floating | index;   // dtypes with arithmetic
inline constexpr TypeSet real = numeric | of(i8, u8);  // dtypes with an order
inline constexpr TypeSet truth = of(boolean);
inline constexpr TypeSet any = real | truth;  // every dtype
}  // namespace types

struct InputDef {
  std::string name;
  TypeSet types = types::floating;
  char group = 'T';  // inputs of one group share a dtype; '-' means no group
  bool optional = false;
  bool variadic = false;       // for the last input only: it may be given one or more times
  bool host_resident = false;  // the op reads it on the host
  bool mutable_ = false;       // the op writes into it (optimizer state); see OutputDef::in_place_of
  std::string values = {};     // the possible element values, if not all of the dtype, and what becomes of others
  std::string doc = {};        // what it is, and its shape
};

struct OutputDef {
  std::string name;
  int may_reuse_input = -1;  // index of an input whose memory the output may reuse if nothing else needs it
  int in_place_of = -1;      // index of the mutable input that is updated in place and returned as this output
  std::string doc = {};      // dtype, if not that of the first input; values and extents
  bool variadic = false;     // for the last output only: a call may have more or fewer of it; see OpDef::count_outputs
};

/// A number that is passed at launch: changing it needs no new kernel. If `infer` or `decompose` reads its value, an
/// abstract call cannot take a number there that is known only at launch. Passing it on to other calls does not count
/// as reading.
struct ScalarDef {
  static constexpr lks_dtype of_inputs = 0;    // the compute dtype of group T: f32 for f16 and bf16, else its own
  static constexpr lks_dtype of_result = ~0u;  // the compute dtype of the first output
  static constexpr lks_dtype widest_of_result = ~1u;  // f64 if the first output is floating, else i64
  std::string name;
  lks_dtype dtype = of_inputs;
  std::string values = {};                  // the possible values, if not all of the dtype
  std::string doc = {};                     // what it is, for callers
  std::optional<Scalar> unless_given = {};  // its value in a call by name that does not give it
};

namespace detail {
[[noreturn]] void refuse_length(const char* unit, std::size_t length, std::size_t capacity);
}

/// A list of at most N integers in an attribute struct. In the attributes that a user gives, before they are
/// normalised, it can also be missing, or be a named choice such as "same" in place of numbers. Canonical attributes
/// hold neither.
template <std::size_t N>
struct BoundedList {
  static_assert(N > 0);
  static constexpr std::size_t capacity = N;
  static constexpr std::int64_t missing_count = -1;
  static constexpr std::int64_t choice_count(int index) { return -2 - index; }

  std::int64_t count = 0;
  std::int64_t values[N] = {};

  BoundedList() = default;
  /// These two throw ShapeError LS2007 for more than N numbers.
  BoundedList(std::initializer_list<std::int64_t> list) : BoundedList(std::span(list.begin(), list.size())) {}
  explicit BoundedList(std::span<const std::int64_t> list) {
    if (list.size() > N) [[unlikely]]
      detail::refuse_length("numbers", list.size(), N);
    count = static_cast<std::int64_t>(list.size());
    std::copy(list.begin(), list.end(), values);
  }
  static BoundedList missing() { return with_count(missing_count); }
  /// The choice with this index in the attribute's `choices`.
  static BoundedList choice(int index) { return with_count(choice_count(index)); }

  bool is_missing() const { return count == missing_count; }
  bool is_choice(int index) const { return count == choice_count(index); }
  std::span<const std::int64_t> view() const { return {values, static_cast<std::size_t>(count)}; }
  std::int64_t operator[](std::size_t i) const { return values[i]; }

 private:
  static BoundedList with_count(std::int64_t n) {
    BoundedList list;
    list.count = n;
    return list;
  }
};

/// The list that most ops need: a tensor has at most eight axes.
using IntList = BoundedList<static_cast<std::size_t>(max_rank)>;

/// A text of at most N bytes in an attribute struct. It may have any bytes, 0 among them. Those behind it are 0, so
/// that equal texts have equal memory.
template <std::size_t N>
struct BoundedText {
  static_assert(N > 0 && N % 8 == 0, "an attribute struct has no padding");
  static constexpr std::size_t capacity = N;

  std::int64_t size = 0;
  char text[N] = {};

  BoundedText() = default;
  /// These two throw ShapeError LS2007 for more than N bytes.
  BoundedText(std::string_view from) {  // NOLINT: implicit by design
    if (from.size() > N) [[unlikely]]
      detail::refuse_length("bytes", from.size(), N);
    size = static_cast<std::int64_t>(from.size());
    std::copy(from.begin(), from.end(), text);
  }
  BoundedText(const char* from) : BoundedText(std::string_view(from)) {}  // NOLINT: implicit by design

  std::string_view view() const { return {text, static_cast<std::size_t>(size)}; }
};

/// What a user may write for an argument. What each kind becomes in canonical attributes is in brackets.
enum class ArgumentKind : std::uint8_t {
  unspecified,  // of ops of applications that do not say
  integer,
  real,
  truth,    // a bool [0 or 1]
  dtype,    // a DType, or its name in a call by name [its number]
  axis,     // may count from the end [from the front]
  axes,     // any order, may count from the end; all axes if missing [ascending, from the front]
  order,    // a permutation of the axes; reversed if missing [from the front]
  extents,  // of a shape
  list,     // integers
  number,   // launch-time: an integer, real or boolean, converted to a dtype
  device,   // the name of a device [its index]
  choice,   // one of `choices` [its index]
  text,     // of any bytes
};

/// The value of an argument in a call by name: a number, a dtype, a text or a list of integers.
class ArgumentValue {
 public:
  using Value = std::variant<Scalar, DType, std::string, std::vector<std::int64_t>>;

  template <class T>
  requires std::is_arithmetic_v<T> ArgumentValue(T number) : value_(Scalar(number)) {}  // NOLINT: implicit by design
  ArgumentValue(Scalar number) : value_(number) {}                                      // NOLINT: implicit by design
  ArgumentValue(DType dtype) : value_(dtype) {}                                         // NOLINT: implicit by design
  ArgumentValue(std::string text) : value_(std::move(text)) {}                          // NOLINT: implicit by design
  ArgumentValue(const char* text) : value_(std::string(text)) {}                        // NOLINT: implicit by design
  ArgumentValue(std::vector<std::int64_t> list) : value_(std::move(list)) {}            // NOLINT: implicit by design
  ArgumentValue(std::initializer_list<std::int64_t> list)                               // NOLINT: implicit by design
      : value_(std::vector<std::int64_t>(list)) {}

  const Value& value() const { return value_; }
  /// Nullptr if the value is of another type.
  template <class T>
  const T* get() const {
    return std::get_if<T>(&value_);
  }
  /// As a user writes it: "true", "-1", "f32", "[1, 2]", "same".
  std::string to_string() const;

 private:
  Value value_;
};

/// One argument of an op beside its inputs, as a user sees it: an attribute, or a number of the op's own.
struct ArgumentDef {
  std::string name = {};
  ArgumentKind kind = ArgumentKind::unspecified;
  std::string doc = {};                   // for users
  bool required = false;                  // a call by name must give it
  std::string otherwise = {};             // what an argument that is not given stands for: "all axes"
  std::vector<std::string> choices = {};  // names that may stand in place of the value
  std::optional<ArgumentValue> unless_given = std::nullopt;  // the value if it is not given
  // An integer or real that may be known only at launch, as numbers always may (see Scalar). The integer may be a u64.
  bool at_launch = false;
};

/// One attribute. Attributes are static and part of a kernel's identity. Fields are int64_t, double, BoundedList or
/// BoundedText, so that the attribute struct has no padding, refers to no other memory and can be compared bytewise.
/// The driver receives this struct unchanged (`driver_ops.h` is generated from the schema).
struct AttrField {
  enum class Storage : std::uint8_t { integer, real, list, text };
  std::string name, doc;  // `doc` is for driver authors, and describes the canonical value
  Storage storage = Storage::integer;
  std::size_t offset = 0;
  std::size_t capacity = 0;  // the most numbers of a list, or bytes of a text
  ArgumentDef argument = {};
};

struct AttrSchema {
  std::string struct_name;  // its name in driver_ops.h, such as "lks_conv2d_attrs"
  std::size_t size = 0;
  std::vector<AttrField> fields;
  std::vector<std::byte> defaults;  // of what a user gives; canonical after OpDef::normalize
};

namespace detail {
template <class M>
inline constexpr bool is_list = false;
template <std::size_t N>
inline constexpr bool is_list<BoundedList<N>> = true;
template <class M>
inline constexpr bool is_text = false;
template <std::size_t N>
inline constexpr bool is_text<BoundedText<N>> = true;
}  // namespace detail

/// Describes one field of an attribute struct. `argument` is what a user writes for it; its name is the field's, its
/// default that of the schema, and its doc, if it has none, is `doc`. A text needs no kind.
template <class A, class M>
std::pair<M A::*, AttrField> attr(std::string name, M A::*member, std::string doc, ArgumentDef argument = {}) {
  using Storage = AttrField::Storage;
  static_assert(
      std::is_same_v<M, std::int64_t> || std::is_same_v<M, double> || detail::is_list<M> || detail::is_text<M>,
      "attributes are of the types int64_t, double, BoundedList and BoundedText");
  const A sample{};
  argument.name = name;
  if (argument.doc.empty()) argument.doc = doc;
  if (detail::is_text<M> && argument.kind == ArgumentKind::unspecified) argument.kind = ArgumentKind::text;
  AttrField field{std::move(name), std::move(doc), Storage::integer, 0, 0, std::move(argument)};
  if constexpr (std::is_same_v<M, double>) field.storage = Storage::real;
  if constexpr (detail::is_list<M>) field.storage = Storage::list;
  if constexpr (detail::is_text<M>) field.storage = Storage::text;
  if constexpr (detail::is_list<M> || detail::is_text<M>) field.capacity = M::capacity;
  field.offset = static_cast<std::size_t>(reinterpret_cast<const char*>(&(sample.*member)) -
                                          reinterpret_cast<const char*>(&sample));
  return {member, std::move(field)};
}

/// The schema of attribute struct A. `defaults` is what a call by name starts with.
template <class A, class... M>
AttrSchema attr_schema(std::string struct_name, const A& defaults, std::pair<M A::*, AttrField>... fields) {
  static_assert(std::is_trivially_copyable_v<A>);
  static_assert(sizeof(A) == (0 + ... + sizeof(M)), "list every field; fields are 8-byte aligned");
  AttrSchema schema{std::move(struct_name), sizeof(A), {std::move(fields.second)...}, {}};
  schema.defaults.resize(sizeof(A));
  std::memcpy(schema.defaults.data(), &defaults, sizeof(A));
  return schema;
}
template <class A, class... M>
AttrSchema attr_schema(std::string struct_name, std::pair<M A::*, AttrField>... fields) {
  return attr_schema<A>(std::move(struct_name), A{}, std::move(fields)...);
}

}  // namespace lockstep
