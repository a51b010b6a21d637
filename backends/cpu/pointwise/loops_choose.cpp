// Loops for a comparison fused with a select. relu, clip and their gradients consist of these, and the fused loop does
// not store the mask.
#include "backends/cpu/pointwise/loop_templates.h"

namespace cpu {
namespace {

struct Lt {
  template <class T>
  static bool holds(T a, T b) {
    return a < b;
  }
};
struct Le {
  template <class T>
  static bool holds(T a, T b) {
    return a <= b;
  }
};
struct Gt {
  template <class T>
  static bool holds(T a, T b) {
    return a > b;
  }
};
struct Ge {
  template <class T>
  static bool holds(T a, T b) {
    return a >= b;
  }
};
struct Eq {
  template <class T>
  static bool holds(T a, T b) {
    return a == b;
  }
};

template <class Compare, class T, bool one_b, bool one_c, bool one_d>
void choose_loop(void* out, const void* a, const void* b, const void* c, const void* d, std::int64_t n) {
  auto* to = static_cast<T*>(out);
  const auto *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
  const auto *if_true = static_cast<const T*>(c), *if_false = static_cast<const T*>(d);
  const T first_y = *y, first_true = *if_true, first_false = *if_false;
  CPU_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    const T taken = one_c ? first_true : if_true[i], other = one_d ? first_false : if_false[i];
    to[i] = Compare::holds(x[i], one_b ? first_y : y[i]) ? taken : other;
  }
}

template <class Compare, class T>
Loop choose_of(const Uniform& u) {
  if (u.a) return nullptr;
  if (u.b) {
    if (u.c) return u.d ? &choose_loop<Compare, T, true, true, true> : &choose_loop<Compare, T, true, true, false>;
    return u.d ? &choose_loop<Compare, T, true, false, true> : &choose_loop<Compare, T, true, false, false>;
  }
  if (u.c) return u.d ? &choose_loop<Compare, T, false, true, true> : &choose_loop<Compare, T, false, true, false>;
  return u.d ? &choose_loop<Compare, T, false, false, true> : &choose_loop<Compare, T, false, false, false>;
}

template <class Compare>
Loop choose(const LoopKey& key) {
  if (key.type == LKS_F32) return choose_of<Compare, float>(key.uniform);
  return key.type == LKS_F64 ? choose_of<Compare, double>(key.uniform) : nullptr;
}

}  // namespace

Loop find_choose_loop(const LoopKey& key) {
  switch (key.opcode) {
    case choose_lt: return choose<Lt>(key);
    case choose_le: return choose<Le>(key);
    case choose_gt: return choose<Gt>(key);
    case choose_ge: return choose<Ge>(key);
    default: return choose<Eq>(key);
  }
}

}  // namespace cpu
