// Element types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// The type of a tensor's elements. Ops on f16 and bf16 compute in f32 and round each result once. i8, u8 and bool have
/// no arithmetic: they are stored, cast, compared and copied. `boolean` is one byte, 0 or 1.
enum class DType : std::uint8_t { f32, f64, f16, bf16, i8, u8, i32, i64, boolean };

inline constexpr int dtype_count = 9;

inline constexpr DType f32 = DType::f32;
inline constexpr DType f64 = DType::f64;
inline constexpr DType f16 = DType::f16;
inline constexpr DType bf16 = DType::bf16;
inline constexpr DType i8 = DType::i8;
inline constexpr DType u8 = DType::u8;
inline constexpr DType i32 = DType::i32;
inline constexpr DType i64 = DType::i64;
inline constexpr DType boolean = DType::boolean;

inline constexpr DType floating_dtypes[] = {f32, f64, f16, bf16};

/// Whether the value is one of the dtypes above, and not another number cast to DType.
constexpr bool is_dtype(DType t) { return static_cast<int>(t) < dtype_count; }
/// Throws DTypeError LS2104.
[[noreturn]] void fail_dtype(int number);

/// Bytes of one element. Throws DTypeError LS2104 if t is not a dtype.
constexpr std::size_t size_of(DType t) {
  constexpr std::size_t sizes[dtype_count] = {4, 8, 2, 2, 1, 1, 4, 8, 1};
  if (!is_dtype(t)) fail_dtype(static_cast<int>(t));
  return sizes[static_cast<int>(t)];
}

constexpr bool is_floating(DType t) { return t <= DType::bf16; }
/// Whether t is a half-width float: f16 or bf16.
constexpr bool is_half_width(DType t) { return t == DType::f16 || t == DType::bf16; }
/// The dtype in which ops on `t` compute.
constexpr DType compute_dtype(DType t) { return is_half_width(t) ? DType::f32 : t; }
constexpr bool is_integer(DType t) { return t >= DType::i8 && t <= DType::i64; }

/// "f32", "i64", "bool" …; "no dtype" if t is not a dtype.
std::string_view name_of(DType t);

/// The dtype with that name; throws DTypeError LS2104, which lists the names.
DType parse_dtype(std::string_view name);

std::ostream& operator<<(std::ostream& out, DType t);

/// A half-precision value as it is stored in memory. Converts to and from float, rounding to nearest even.
struct Half {
  std::uint16_t bits = 0;
  Half() = default;
  explicit Half(float value);
  explicit operator float() const;
  bool operator==(const Half&) const = default;
};

/// A bfloat16 value as it is stored in memory. Converts to and from float, rounding to nearest even.
struct BFloat16 {
  std::uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value);
  explicit operator float() const;
  bool operator==(const BFloat16&) const = default;
};

/// The DType whose elements are C++ values of type T.
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<Half> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<std::int8_t> {
  static constexpr DType value = DType::i8;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};

/// C++ types that a tensor can hold.
template <class T>
concept Element = requires {
  DTypeOf<T>::value;
};

}  // namespace lockstep
