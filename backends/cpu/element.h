// Element types of tensors as C++ types.
#pragma once

#include <cstdint>
#include <type_traits>

#include "api/internal/instructions.h"
#include "lockstep/driver.h"

namespace cpu {

/// Half-width floats are storage only; arithmetic converts them to f32 first (half_width.h).
struct Half {
  std::uint16_t bits;
};
struct BFloat {
  std::uint16_t bits;
};
/// One byte, 0 or 1.
struct Bool8 {
  std::uint8_t byte;
};

inline std::int64_t bytes_of(lks_dtype t) { return LKS_DTYPE_BITS(t) / 8; }

using lockstep::is_half_width;

/// Calls f with a value of the C++ type of `t`, which is f32, f64, i32 or i64.
template <class F>
auto with_numeric(lks_dtype t, F&& f) {
  switch (t) {
    case LKS_F64: return f(double{});
    case LKS_I32: return f(std::int32_t{});
    case LKS_I64: return f(std::int64_t{});
    default: return f(float{});
  }
}

/// Calls f with a value of the unsigned integer type of `bytes` bytes. Used to move elements without interpreting them.
template <class F>
auto with_width(std::int64_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f(std::uint8_t{});
    case 2: return f(std::uint16_t{});
    case 4: return f(std::uint32_t{});
    default: return f(std::uint64_t{});
  }
}

/// The type in which arithmetic on T wraps without undefined behaviour: T for floats, the unsigned type for integers.
template <class T>
using Wrapping = typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type;

}  // namespace cpu
