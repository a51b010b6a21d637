// Loops for add, sub, mul, div, sqrt, neg and abs.
#include <cmath>
#include <limits>

#include "backends/cpu/element.h"
#include "backends/cpu/pointwise/loop_templates.h"

namespace cpu {
namespace {

// Integers wrap: they are computed as unsigned, in a type that does not promote to int.
template <class T>
using Computed = std::conditional_t<std::is_integral_v<T> && sizeof(T) < 4, std::uint32_t, Wrapping<T>>;

template <class T>
struct Add {
  static T apply(T a, T b) { return static_cast<T>(static_cast<Computed<T>>(a) + static_cast<Computed<T>>(b)); }
};
template <class T>
struct Sub {
  static T apply(T a, T b) { return static_cast<T>(static_cast<Computed<T>>(a) - static_cast<Computed<T>>(b)); }
};
template <class T>
struct Mul {
  static T apply(T a, T b) { return static_cast<T>(static_cast<Computed<T>>(a) * static_cast<Computed<T>>(b)); }
};

template <class T>
struct Div {
  static T apply(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else if constexpr (std::is_signed_v<T>) {
      if (b == 0) return 0;
      if (b == -1) return static_cast<T>(Computed<T>{0} - static_cast<Computed<T>>(a));  // MIN / -1 is MIN
      return static_cast<T>(a / b);
    } else {
      return b == 0 ? T{0} : static_cast<T>(a / b);
    }
  }
};

template <class T>
struct Sqrt {
  static T apply(T a) { return std::sqrt(a); }
};
template <class T>
struct Neg {
  static T apply(T a) {
    if constexpr (std::is_floating_point_v<T>) return -a;
    return static_cast<T>(Computed<T>{0} - static_cast<Computed<T>>(a));
  }
};
template <class T>
struct Abs {
  static T apply(T a) {
    if constexpr (std::is_floating_point_v<T>) return std::fabs(a);
    if constexpr (std::is_signed_v<T>) return a < 0 ? Neg<T>::apply(a) : a;
    return a;
  }
};

template <template <class> class F>
Loop binary_of(const LoopKey& key) {
  switch (key.type) {
    case LKS_F32: return pick_binary<F<float>, float, float>(key.uniform);
    case LKS_F64: return pick_binary<F<double>, double, double>(key.uniform);
    case LKS_I8: return pick_binary<F<std::int8_t>, std::int8_t, std::int8_t>(key.uniform);
    case LKS_U8: return pick_binary<F<std::uint8_t>, std::uint8_t, std::uint8_t>(key.uniform);
    case LKS_I32: return pick_binary<F<std::int32_t>, std::int32_t, std::int32_t>(key.uniform);
    case LKS_U32: return pick_binary<F<std::uint32_t>, std::uint32_t, std::uint32_t>(key.uniform);
    case LKS_I64: return pick_binary<F<std::int64_t>, std::int64_t, std::int64_t>(key.uniform);
    case LKS_U64: return pick_binary<F<std::uint64_t>, std::uint64_t, std::uint64_t>(key.uniform);
    default: return nullptr;
  }
}

template <template <class> class F>
Loop unary_of(const LoopKey& key) {
  switch (key.type) {
    case LKS_F32: return &unary_loop<F<float>, float, float>;
    case LKS_F64: return &unary_loop<F<double>, double, double>;
    case LKS_I8: return &unary_loop<F<std::int8_t>, std::int8_t, std::int8_t>;
    case LKS_U8: return &unary_loop<F<std::uint8_t>, std::uint8_t, std::uint8_t>;
    case LKS_I32: return &unary_loop<F<std::int32_t>, std::int32_t, std::int32_t>;
    case LKS_U32: return &unary_loop<F<std::uint32_t>, std::uint32_t, std::uint32_t>;
    case LKS_I64: return &unary_loop<F<std::int64_t>, std::int64_t, std::int64_t>;
    case LKS_U64: return &unary_loop<F<std::uint64_t>, std::uint64_t, std::uint64_t>;
    default: return nullptr;
  }
}

}  // namespace

Loop find_arithmetic_loop(const LoopKey& key) {
  switch (key.opcode) {
    case LKS_INSTR_ADD: return binary_of<Add>(key);
    case LKS_INSTR_SUB: return binary_of<Sub>(key);
    case LKS_INSTR_MUL: return binary_of<Mul>(key);
    case LKS_INSTR_DIV: return binary_of<Div>(key);
    case LKS_INSTR_NEG: return unary_of<Neg>(key);
    case LKS_INSTR_ABS: return unary_of<Abs>(key);
    case LKS_INSTR_SQRT:
      if (key.type == LKS_F32) return &unary_loop<Sqrt<float>, float, float>;
      return key.type == LKS_F64 ? &unary_loop<Sqrt<double>, double, double> : nullptr;
    default: return nullptr;
  }
}

}  // namespace cpu
