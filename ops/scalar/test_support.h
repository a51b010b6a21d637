// Shared by the tests of the scalar functions: the functions compiled as C++, and inputs for them.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "lockstep/program.h"
#include "ops/scalar/dialect_cpp.h"

namespace lockstep::compiled {

#include "ops/scalar/all.inc"
#include "ops/scalar/philox.inc"

}  // namespace lockstep::compiled

namespace lockstep::testing {

template <class T>
struct Compiled {
  std::string name;
  int arity;
  T (*call)(T, T);  // the second argument is unused if arity is 1
};

template <class T, float (*f32)(float), double (*f64)(double)>
T unary(T x, T) {
  if constexpr (std::is_same_v<T, float>) {
    return f32(x);
  } else {
    return f64(x);
  }
}

template <class T, float (*f32)(float, float), double (*f64)(double, double)>
T binary(T x, T y) {
  if constexpr (std::is_same_v<T, float>) {
    return f32(x, y);
  } else {
    return f64(x, y);
  }
}

template <class T>
const std::vector<Compiled<T>>& compiled_functions() {
  using namespace compiled;
  static const std::vector<Compiled<T>> all = {
      {"exp", 1, unary<T, exp_f32, exp_f64>},
      {"log", 1, unary<T, log_f32, log_f64>},
      {"pow", 2, binary<T, pow_f32, pow_f64>},
      {"tanh", 1, unary<T, tanh_f32, tanh_f64>},
      {"sigmoid", 1, unary<T, sigmoid_f32, sigmoid_f64>},
      {"rsqrt", 1, unary<T, rsqrt_f32, rsqrt_f64>},
      {"minimum", 2, binary<T, minimum_f32, minimum_f64>},
      {"maximum", 2, binary<T, maximum_f32, maximum_f64>},
      {"inverse_normal_cdf", 1, unary<T, inverse_normal_cdf_f32, inverse_normal_cdf_f64>},
      {"tanh_slope", 1, unary<T, tanh_slope_f32, tanh_slope_f64>},
      {"normal_cdf", 1, unary<T, normal_cdf_f32, normal_cdf_f64>},
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) {#name, 1, unary<T, name##_f32, name##_f64>},
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP
  };
  return all;
}

template <class T>
constexpr lks_dtype dtype_of = std::is_same_v<T, float> ? LKS_F32 : LKS_F64;
template <class T>
using Bits = std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint64_t>;

template <class T>
bool same_bits(T a, T b) {
  return std::bit_cast<Bits<T>>(a) == std::bit_cast<Bits<T>>(b) || (std::isnan(a) && std::isnan(b));
}

/// Zeros, infinities, NaN, the ends of the normal and denormal ranges, small integers and their neighbours; both signs.
template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  // clang-format off
  std::vector<T> values = {
      0, Limits::denorm_min(), 3 * Limits::denorm_min(), std::nextafter(Limits::min(), T(0)), Limits::min(),
      Limits::epsilon(), std::nextafter(1 / Limits::epsilon(), T(0)), 1 / Limits::epsilon(), 2 / Limits::epsilon(),
      3 / Limits::epsilon(), T(1e10), T(1e30), Limits::max(), Limits::infinity(), Limits::quiet_NaN()};
  // Where functions change their formula, saturate, overflow or underflow.
  constexpr double turns[] = {
      0.1, 0.125, 0.4, 0.5, 0.7071067811865476, 0.875, 1, 1.4142135623730951, 1.5, 2, 3, 4, 6, 9, 10, 11, 14.5, 18, 20, 22,
      38.7, 60, 87, 88.72, 103, 104, 127, 128, 150, 600, 709.78, 745.13, 755};
  // clang-format on
  for (const double turn : turns) {
    const T v = static_cast<T>(turn);
    values.insert(values.end(), {v, std::nextafter(v, T(0)), std::nextafter(v, Limits::max())});
  }
  for (std::size_t i = 0, n = values.size(); i < n; ++i) values.push_back(-values[i]);
  return values;
}

/// Every `step`th float, or doubles of every binade and many of ordinary size; and the special values.
template <class T>
std::vector<T> unary_inputs(std::uint32_t step) {
  std::vector<T> inputs = special_values<T>();
  if constexpr (std::is_same_v<T, float>) {
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += step) {
      inputs.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    }
  } else {
    std::mt19937_64 random(1);
    for (std::uint64_t exponent = 0; exponent < 4096; ++exponent) {
      for (std::uint32_t i = 0; i < 100'000 / step; ++i) {
        inputs.push_back(std::bit_cast<double>((exponent << 52) | (random() >> 12)));
      }
    }
    for (double radius : {0.5, 1.0, 6.0, 20.0, 40.0, 750.0}) {
      std::uniform_real_distribution<double> within(-radius, radius);
      for (std::uint32_t i = 0; i < 150'000'000 / step; ++i) inputs.push_back(within(random));
    }
  }
  return inputs;
}

template <class T>
struct Pair {
  T x, y;
};

/// All pairs of special values, and powers of every size: of bases in every binade, near 1, and negative ones.
template <class T>
std::vector<Pair<T>> binary_inputs(std::size_t count) {
  std::vector<Pair<T>> pairs;
  for (T x : special_values<T>()) {
    for (T y : special_values<T>()) pairs.push_back({x, y});
  }
  std::mt19937_64 random(2);
  const int binades = std::numeric_limits<T>::max_exponent;
  const T largest = std::log(std::numeric_limits<T>::max());
  std::uniform_real_distribution<double> exponent(-binades - 20, binades), logarithm(-1.2, 1.1), near(0.7, 1.5);
  for (std::size_t i = 0; i < count; ++i) {
    const T e = static_cast<T>(logarithm(random)) * largest;
    const T any = static_cast<T>(std::exp2(exponent(random)));
    const T unit = static_cast<T>(near(random));
    const T close = 1 + (unit - 1) * static_cast<T>(std::exp2(-static_cast<double>(random() % 50)));
    const T whole = static_cast<T>(static_cast<int>(random() % 61) - 30);
    for (T x : {any, unit, close}) {
      if (x > 0 && x != 1) pairs.push_back({x, e / std::log(x)});
    }
    pairs.push_back({-unit, whole});
    pairs.push_back(
        {std::bit_cast<T>(static_cast<Bits<T>>(random())), std::bit_cast<T>(static_cast<Bits<T>>(random()))});
  }
  return pairs;
}

}  // namespace lockstep::testing
