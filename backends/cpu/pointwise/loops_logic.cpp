// Loops for comparisons, select, bit operations, copies and indices.
#include "backends/cpu/element.h"
#include "backends/cpu/pointwise/loop_templates.h"

namespace cpu {
namespace {

// -------------------------------------------------------------------------------------------------------- comparisons

template <class T>
struct Less {
  static std::uint8_t apply(T a, T b) { return a < b; }
};
template <class T>
struct LessEqual {
  static std::uint8_t apply(T a, T b) { return a <= b; }
};
template <class T>
struct Equal {
  static std::uint8_t apply(T a, T b) { return a == b; }
};
template <class T>
struct NotEqual {
  static std::uint8_t apply(T a, T b) { return a != b; }
};

template <template <class> class F>
Loop comparison_of(const LoopKey& key) {
  switch (key.type) {
    case LKS_F32: return pick_binary<F<float>, std::uint8_t, float>(key.uniform);
    case LKS_F64: return pick_binary<F<double>, std::uint8_t, double>(key.uniform);
    case LKS_I8: return pick_binary<F<std::int8_t>, std::uint8_t, std::int8_t>(key.uniform);
    case LKS_U8:
    case LKS_BOOL: return pick_binary<F<std::uint8_t>, std::uint8_t, std::uint8_t>(key.uniform);
    case LKS_I32: return pick_binary<F<std::int32_t>, std::uint8_t, std::int32_t>(key.uniform);
    case LKS_U32: return pick_binary<F<std::uint32_t>, std::uint8_t, std::uint32_t>(key.uniform);
    case LKS_I64: return pick_binary<F<std::int64_t>, std::uint8_t, std::int64_t>(key.uniform);
    case LKS_U64: return pick_binary<F<std::uint64_t>, std::uint8_t, std::uint64_t>(key.uniform);
    default: return nullptr;
  }
}

// -------------------------------------------------------------------------------------------------------------- select

template <class T, bool one_b, bool one_c>
void select_loop(void* out, const void* a, const void* b, const void* c, const void*, std::int64_t n) {
  auto* to = static_cast<T*>(out);
  const auto* condition = static_cast<const std::uint8_t*>(a);
  const auto *x = static_cast<const T*>(b), *y = static_cast<const T*>(c);
  const T first_x = *x, first_y = *y;
  CPU_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    const T if_true = one_b ? first_x : x[i], if_false = one_c ? first_y : y[i];
    to[i] = condition[i] != 0 ? if_true : if_false;
  }
}

template <class T>
Loop select_of(const Uniform& uniform) {
  if (uniform.a) return nullptr;
  if (uniform.b) return uniform.c ? &select_loop<T, true, true> : &select_loop<T, true, false>;
  return uniform.c ? &select_loop<T, false, true> : &select_loop<T, false, false>;
}

// ---------------------------------------------------------------------------------------------------------------- bits

template <class T>
struct And {
  static T apply(T a, T b) { return static_cast<T>(a & b); }
};
template <class T>
struct Or {
  static T apply(T a, T b) { return static_cast<T>(a | b); }
};
template <class T>
struct Xor {
  static T apply(T a, T b) { return static_cast<T>(a ^ b); }
};
template <class T>
struct Not {
  static T apply(T a) { return static_cast<T>(~a); }
};
struct NotBool {
  static std::uint8_t apply(std::uint8_t a) { return a == 0; }
};
template <class T>
struct ShiftLeft {
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) << (b & (8 * sizeof(T) - 1)));
  }
};
template <class T>
struct ShiftRight {
  static T apply(T a, T b) { return static_cast<T>(a >> (b & (8 * sizeof(T) - 1))); }
};
struct UpperHalf {
  static std::uint32_t apply(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(a) * b >> 32);
  }
};

// Selects the loop by width only, for operations that do not depend on the sign.
template <template <class> class F>
Loop bits_of(const LoopKey& key) {
  if (LKS_DTYPE_CLASS(key.type) < LKS_CLASS_INT) return nullptr;
  return with_width(bytes_of(key.type), [&](auto zero) {
    using T = decltype(zero);
    return pick_binary<F<T>, T, T>(key.uniform);
  });
}

Loop not_of(const LoopKey& key) {
  if (key.type == LKS_BOOL) return &unary_loop<NotBool, std::uint8_t, std::uint8_t>;
  if (LKS_DTYPE_CLASS(key.type) < LKS_CLASS_INT) return nullptr;
  return with_width(bytes_of(key.type), [](auto zero) -> Loop {
    using T = decltype(zero);
    return &unary_loop<Not<T>, T, T>;
  });
}

Loop shift_right_of(const LoopKey& key) {
  switch (key.type) {
    case LKS_I8: return pick_binary<ShiftRight<std::int8_t>, std::int8_t, std::int8_t>(key.uniform);
    case LKS_I32: return pick_binary<ShiftRight<std::int32_t>, std::int32_t, std::int32_t>(key.uniform);
    case LKS_I64: return pick_binary<ShiftRight<std::int64_t>, std::int64_t, std::int64_t>(key.uniform);
    default: return bits_of<ShiftRight>(key);
  }
}

// ---------------------------------------------------------------------------------------------------- copy and indices

struct Same {
  template <class T>
  static T apply(T a) {
    return a;
  }
};

template <class T>
void fill_loop(void* out, const void* a, const void*, const void*, const void*, std::int64_t n) {
  auto* to = static_cast<T*>(out);
  const T value = *static_cast<const T*>(a);
  for (std::int64_t i = 0; i < n; ++i) to[i] = value;
}

void linear_indices(void* out, const void* a, const void*, const void*, const void*, std::int64_t n) {
  auto* to = static_cast<std::int64_t*>(out);
  const std::int64_t first = *static_cast<const std::int64_t*>(a);
  for (std::int64_t i = 0; i < n; ++i) to[i] = first + i;
}

}  // namespace

Loop find_logic_loop(const LoopKey& key) {
  switch (key.opcode) {
    case LKS_INSTR_LT: return comparison_of<Less>(key);
    case LKS_INSTR_LE: return comparison_of<LessEqual>(key);
    case LKS_INSTR_EQ: return comparison_of<Equal>(key);
    case LKS_INSTR_NE: return comparison_of<NotEqual>(key);
    case LKS_INSTR_SELECT:
      return with_width(bytes_of(key.type), [&](auto zero) { return select_of<decltype(zero)>(key.uniform); });
    case LKS_INSTR_AND: return bits_of<And>(key);
    case LKS_INSTR_OR: return bits_of<Or>(key);
    case LKS_INSTR_XOR: return bits_of<Xor>(key);
    case LKS_INSTR_NOT: return not_of(key);
    case LKS_INSTR_SHL: return bits_of<ShiftLeft>(key);
    case LKS_INSTR_SHR: return shift_right_of(key);
    case LKS_INSTR_MULHI:
      return key.type == LKS_U32 ? pick_binary<UpperHalf, std::uint32_t, std::uint32_t>(key.uniform) : nullptr;
    default: return nullptr;
  }
}

Loop copy_loop(lks_dtype type, bool uniform) {
  return with_width(bytes_of(type), [&](auto zero) -> Loop {
    using T = decltype(zero);
    return uniform ? &fill_loop<T> : &unary_loop<Same, T, T>;
  });
}

Loop linear_loop() { return &linear_indices; }

}  // namespace cpu
