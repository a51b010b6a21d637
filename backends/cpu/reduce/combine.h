// What a reduction does with elements: `lift` makes an accumulator of one, `join` puts two accumulators together,
// `finish` makes an element of one again. Written so that loops over arrays of them vectorise.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "backends/cpu/element.h"

namespace cpu {

/// Floats add in double, which costs nothing next to memory and leaves sums of f32 with one rounding to speak of;
/// integers wrap.
template <class T>
struct SumOf {
  using Acc = std::conditional_t<std::is_floating_point_v<T>, double, Wrapping<T>>;
  static constexpr Acc empty = 0;
  static Acc lift(T x) { return static_cast<Acc>(x); }
  static Acc join(Acc a, Acc b) { return a + b; }
  static T finish(Acc a) { return static_cast<T>(a); }
};

/// The signed integer of T's width.
template <class T>
using Key = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

// The bits of a float, with those of negative numbers but for the sign turned round, order as integers as the numbers
// do, -0 below +0. Turning them round again gives the number back.
template <class T>
Key<T> ordered_bits(T x) {
  using K = Key<T>;
  const K bits = std::bit_cast<K>(x);
  return bits ^ (bits >> (8 * sizeof(K) - 1) & std::numeric_limits<K>::max());
}

/// NaN wins, either way: the extreme integers stand for it, and no number has them.
template <class T, bool largest>
struct ExtremeOf {
  using Acc = Key<T>;
  using Limits = std::numeric_limits<Acc>;
  static constexpr Acc empty = largest ? Limits::min() : Limits::max();
  static constexpr Acc nan = largest ? Limits::max() : Limits::min();

  static Acc lift(T x) {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return x != x ? nan : ordered_bits(x);
    }
  }
  static Acc join(Acc a, Acc b) { return largest ? (a > b ? a : b) : (a < b ? a : b); }
  static T finish(Acc a) {
    if constexpr (std::is_integral_v<T>) {
      return a;
    } else {
      const Acc bits = a ^ (a >> (8 * sizeof(Acc) - 1) & Limits::max());
      return a == nan ? std::numeric_limits<T>::quiet_NaN() : std::bit_cast<T>(bits);
    }
  }
};

template <class T>
using MaxOf = ExtremeOf<T, true>;
template <class T>
using MinOf = ExtremeOf<T, false>;

}  // namespace cpu
