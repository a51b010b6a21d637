// Loops that apply a function of single values to arrays. The compiler vectorises them for the instruction set of the
// build.
#pragma once

#include "backends/cpu/pointwise/loops.h"

namespace cpu {

// Each iteration uses only elements of its own index, so there are no loop-carried dependences, even if `out` is one of
// the operands.
#define CPU_INDEPENDENT _Pragma("GCC ivdep")

template <class F, class R, class A>
void unary_loop(void* out, const void* a, const void*, const void*, const void*, std::int64_t n) {
  auto* to = static_cast<R*>(out);
  const auto* x = static_cast<const A*>(a);
  CPU_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) to[i] = F::apply(x[i]);
}

template <class F, class R, class A>
void binary_loop(void* out, const void* a, const void* b, const void*, const void*, std::int64_t n) {
  auto* to = static_cast<R*>(out);
  const auto *x = static_cast<const A*>(a), *y = static_cast<const A*>(b);
  CPU_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) to[i] = F::apply(x[i], y[i]);
}

template <class F, class R, class A>
void left_uniform_loop(void* out, const void* a, const void* b, const void*, const void*, std::int64_t n) {
  auto* to = static_cast<R*>(out);
  const A x = *static_cast<const A*>(a);
  const auto* y = static_cast<const A*>(b);
  CPU_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) to[i] = F::apply(x, y[i]);
}

template <class F, class R, class A>
void right_uniform_loop(void* out, const void* a, const void* b, const void*, const void*, std::int64_t n) {
  auto* to = static_cast<R*>(out);
  const auto* x = static_cast<const A*>(a);
  const A y = *static_cast<const A*>(b);
  CPU_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) to[i] = F::apply(x[i], y);
}

template <class F, class R, class A>
Loop pick_binary(const Uniform& uniform) {
  if (uniform.a && !uniform.b) return &left_uniform_loop<F, R, A>;
  if (uniform.b && !uniform.a) return &right_uniform_loop<F, R, A>;
  return &binary_loop<F, R, A>;
}

}  // namespace cpu
