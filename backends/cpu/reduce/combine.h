// The operations of a reduction: `lift` converts an element to an accumulator, `join` combines two accumulators,
// `finish` converts an accumulator to an element. Written so that loops over arrays of them vectorise.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "backends/cpu/element.h"

namespace cpu {

/// Floats add in double. This costs nothing beside the memory traffic, and practically the only rounding of an f32 sum
/// is then the last one. Integers wrap.
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

// Maps a float to an integer so that the order is the same, with -0 below +0: in negative numbers all bits except the
// sign are inverted. Inverting them again gives the float back.
template <class T>
Key<T> ordered_bits(T x) {
  using K = Key<T>;
  const K bits = std::bit_cast<K>(x);
  return bits ^ (bits >> (8 * sizeof(K) - 1) & std::numeric_limits<K>::max());
}

/// NaN wins for both max and min. It is represented by an extreme integer, which no number maps to.
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
