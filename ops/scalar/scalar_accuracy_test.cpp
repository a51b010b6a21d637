// Compares every shared scalar function with its oracle: errors in ULP, and special values bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>

#include "ops/scalar/oracles.h"
#include "ops/scalar/test_support.h"

namespace lockstep::testing {
namespace {

// The double versions work on bits, because 2^32 calls of the C library's functions take too long.
int exponent_of(double x) { return static_cast<int>((std::bit_cast<std::uint64_t>(x) >> 52) & 0x7ff) - 1023; }
int exponent_of(long double x) { return x == 0 ? -20000 : std::ilogb(x); }
double scaled(double x, int exponent) {
  return x * std::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent) << 52);
}
long double scaled(long double x, int exponent) { return std::ldexp(x, exponent); }

/// The error of `result` in ULP of `exact` in T. Infinity counts as the power of two above the largest number, because
/// exact values may round to it. A zero of the wrong sign has an infinite error.
template <class T, class Exact>
double ulp_error(T result, Exact exact) {
  using Limits = std::numeric_limits<T>;
  if (std::isnan(result) || std::isnan(exact)) return std::isnan(result) && std::isnan(exact) ? 0 : HUGE_VAL;
  static const Exact past = std::ldexp(Exact(1), Limits::max_exponent);
  const Exact got = std::isinf(result) ? std::copysign(past, Exact(result)) : Exact(result);
  const Exact want = std::clamp(exact, -past, past);
  if (got == want) return std::signbit(got) == std::signbit(want) ? 0 : HUGE_VAL;
  const int exponent = std::clamp(exponent_of(want), Limits::min_exponent - 1, Limits::max_exponent - 1);
  return static_cast<double>(std::fabs(scaled(got - want, Limits::digits - 1 - exponent)));
}

template <class T>
struct Worst {
  double ulp = 0;
  T x = 0, y = 0;
  void take(double error, T at_x, T at_y) {
    if (error > ulp) *this = {error, at_x, at_y};
  }
};

/// The promise: for inputs from `low` on, errors are at most this many ULP. Functions without a line here keep to the
/// bound of their own, ScalarFunction::max_ulp.
struct Bound {
  const char* name;
  double f32, f64;
  double low = -HUGE_VAL;
};
constexpr Bound bounds[] = {
    {"exp", 1, 1},          {"log", 1, 1},
    {"pow", 1.25, 1.25},    {"tanh", 2, 2},
    {"sigmoid", 2, 2},      {"erf", 2, 2},
    {"rsqrt", 1, 1},        {"silu", 2, 2},
    {"gelu_tanh", 2, 2},    {"gelu", 6, 6},
    {"gelu", 3.5, 3.5, -1}, {"minimum", 0, 0},
    {"maximum", 0, 0},      {"inverse_normal_cdf", 4, 4},
    {"tanh_slope", 4, 4},   {"normal_cdf", 4, 5},
};

template <class T>
double bound_for(const Bound& bound) {
  return std::is_same_v<T, float> ? bound.f32 : bound.f64;
}

template <class T>
void expect_within(const Bound& bound, const Worst<T>& worst) {
  std::printf("%-20s %s %6.3f ULP at %.9g %.9g\n", bound.name, std::is_same_v<T, float> ? "f32" : "f64", worst.ulp,
              static_cast<double>(worst.x), static_cast<double>(worst.y));
  EXPECT_LE(worst.ulp, bound_for<T>(bound)) << bound.name << " at " << worst.x << ", " << worst.y;
}

template <class T>
const Compiled<T>& compiled_function(const std::string& name) {
  const auto& all = compiled_functions<T>();
  return *std::find_if(all.begin(), all.end(), [&](const Compiled<T>& f) { return f.name == name; });
}

template <class T>
void check_accuracy() {
  const auto unary = unary_inputs<T>(1009);
  const auto binary = binary_inputs<T>(150'000);
  for (const Compiled<T>& f : compiled_functions<T>()) {
    const ScalarFunction* function = find_scalar_function(f.name, dtype_of<T>);
    ASSERT_TRUE(function) << f.name;
    std::array<Worst<T>, std::size(bounds)> worst;
    const auto try_on = [&](T x, T y) {
      const std::array<long double, 2> args = {x, y};
      const long double exact = function->oracle(std::span(args).first(static_cast<std::size_t>(f.arity)));
      const double error = ulp_error(f.call(x, y), exact);
      for (std::size_t b = 0; b < std::size(bounds); ++b) {
        if (error > worst[b].ulp && !(x < bounds[b].low)) worst[b] = {error, x, y};
      }
    };
    if (f.arity == 1) {
      for (T x : unary) try_on(x, 0);
    } else {
      for (const Pair<T>& p : binary) try_on(p.x, p.y);
    }
    bool listed = false;
    for (std::size_t b = 0; b < std::size(bounds); ++b) {
      if (f.name != bounds[b].name) continue;
      expect_within(bounds[b], worst[b]);
      listed = true;
    }
    if (!listed) {
      const double own = function->max_ulp;
      expect_within(Bound{f.name.c_str(), own, own}, worst[0]);  // no bound before -infinity: of all inputs
    }
  }
}

TEST(ScalarAccuracy, f32_within_bounds) { check_accuracy<float>(); }
TEST(ScalarAccuracy, f64_within_bounds) { check_accuracy<double>(); }

TEST(ScalarAccuracy, every_registered_function_is_tested) {
  const auto& compiled = compiled_functions<float>();
  for (const ScalarFunction* f : scalar_functions()) {
    EXPECT_TRUE(std::any_of(compiled.begin(), compiled.end(), [&](const auto& c) { return c.name == f->name; }))
        << f->name;
  }
}

// -------------------------------------------------------------------------------------------- special values

constexpr double inf = HUGE_VAL;
const double nan = std::nan("");

struct Special {
  const char* name;
  double x, y, result;
};
const Special unary_specials[] = {
    {"exp", 0, 0, 1},
    {"exp", -0.0, 0, 1},
    {"exp", inf, 0, inf},
    {"exp", -inf, 0, 0},
    {"exp", 1000, 0, inf},
    {"exp", -1000, 0, 0},
    {"exp", nan, 0, nan},
    {"log", 1, 0, 0},
    {"log", 0, 0, -inf},
    {"log", -0.0, 0, -inf},
    {"log", -1, 0, nan},
    {"log", inf, 0, inf},
    {"log", -inf, 0, nan},
    {"log", nan, 0, nan},
    {"tanh", 0, 0, 0},
    {"tanh", -0.0, 0, -0.0},
    {"tanh", inf, 0, 1},
    {"tanh", -inf, 0, -1},
    {"tanh", 30, 0, 1},
    {"tanh", nan, 0, nan},
    {"sigmoid", 0, 0, 0.5},
    {"sigmoid", -0.0, 0, 0.5},
    {"sigmoid", inf, 0, 1},
    {"sigmoid", -inf, 0, 0},
    {"sigmoid", -800, 0, 0},
    {"sigmoid", nan, 0, nan},
    {"erf", 0, 0, 0},
    {"erf", -0.0, 0, -0.0},
    {"erf", inf, 0, 1},
    {"erf", -inf, 0, -1},
    {"erf", 7, 0, 1},
    {"erf", nan, 0, nan},
    {"rsqrt", 0, 0, inf},
    {"rsqrt", -0.0, 0, -inf},
    {"rsqrt", inf, 0, 0},
    {"rsqrt", 4, 0, 0.5},
    {"rsqrt", 1, 0, 1},
    {"rsqrt", -1, 0, nan},
    {"rsqrt", -inf, 0, nan},
    {"rsqrt", nan, 0, nan},
    {"gelu", 0, 0, 0},
    {"gelu", -0.0, 0, -0.0},
    {"gelu", inf, 0, inf},
    {"gelu", -inf, 0, -0.0},
    {"gelu", -50, 0, -0.0},
    {"gelu", 50, 0, 50},
    {"gelu", nan, 0, nan},
    {"gelu_tanh", 0, 0, 0},
    {"gelu_tanh", -0.0, 0, -0.0},
    {"gelu_tanh", inf, 0, inf},
    {"gelu_tanh", -inf, 0, -0.0},
    {"gelu_tanh", -50, 0, -0.0},
    {"gelu_tanh", 50, 0, 50},
    {"gelu_tanh", nan, 0, nan},
    {"silu", 0, 0, 0},
    {"silu", -0.0, 0, -0.0},
    {"silu", inf, 0, inf},
    {"silu", -inf, 0, -0.0},
    {"silu", -800, 0, -0.0},
    {"silu", 800, 0, 800},
    {"silu", nan, 0, nan},
    {"sin", 0, 0, 0},
    {"sin", -0.0, 0, -0.0},
    {"sin", inf, 0, nan},
    {"sin", -inf, 0, nan},
    {"sin", nan, 0, nan},
    {"cos", 0, 0, 1},
    {"cos", -0.0, 0, 1},
    {"cos", inf, 0, nan},
    {"cos", -inf, 0, nan},
    {"cos", nan, 0, nan},
    {"inverse_normal_cdf", 0.5, 0, 0},
    {"inverse_normal_cdf", 0, 0, -inf},
    {"inverse_normal_cdf", 1, 0, inf},
    {"inverse_normal_cdf", -1, 0, nan},
    {"inverse_normal_cdf", 2, 0, nan},
    {"inverse_normal_cdf", inf, 0, nan},
    {"inverse_normal_cdf", -inf, 0, nan},
    {"inverse_normal_cdf", nan, 0, nan},
};
const Special choice_specials[] = {
    {"minimum", 1, 2, 1},     {"minimum", 2, 1, 1},          {"minimum", -0.0, 0, -0.0},   {"minimum", 0, -0.0, -0.0},
    {"minimum", 0, 0, 0},     {"minimum", -0.0, -0.0, -0.0}, {"minimum", inf, -inf, -inf}, {"minimum", nan, 1, nan},
    {"minimum", 1, nan, nan}, {"minimum", nan, inf, nan},    {"minimum", -inf, nan, nan},  {"minimum", nan, nan, nan},
    {"maximum", 1, 2, 2},     {"maximum", 2, 1, 2},          {"maximum", -0.0, 0, 0},      {"maximum", 0, -0.0, 0},
    {"maximum", 0, 0, 0},     {"maximum", -0.0, -0.0, -0.0}, {"maximum", inf, -inf, inf},  {"maximum", nan, 1, nan},
    {"maximum", 0, nan, nan}, {"maximum", nan, -inf, nan},   {"maximum", inf, nan, nan},   {"maximum", nan, nan, nan},
};
const Special pow_specials[] = {
    {"pow", nan, 0, 1},       {"pow", nan, -0.0, 1},    {"pow", 0, 0, 1},          {"pow", -inf, -0.0, 1},
    {"pow", 1, nan, 1},       {"pow", 1, inf, 1},       {"pow", 1, -inf, 1},       {"pow", -1, inf, 1},
    {"pow", -1, -inf, 1},     {"pow", 0, -3, inf},      {"pow", -0.0, -3, -inf},   {"pow", 0, -2, inf},
    {"pow", -0.0, -2.5, inf}, {"pow", 0, -inf, inf},    {"pow", -0.0, -inf, inf},  {"pow", 0, 3, 0},
    {"pow", -0.0, 3, -0.0},   {"pow", -0.0, 2, 0},      {"pow", -0.0, 0.5, 0},     {"pow", 0, inf, 0},
    {"pow", 0.5, -inf, inf},  {"pow", -0.5, -inf, inf}, {"pow", 2, -inf, 0},       {"pow", 0.5, inf, 0},
    {"pow", 2, inf, inf},     {"pow", -2, inf, inf},    {"pow", -inf, -3, -0.0},   {"pow", -inf, -2, 0},
    {"pow", -inf, 3, -inf},   {"pow", -inf, 2, inf},    {"pow", -inf, 0.5, inf},   {"pow", inf, -1e-30, 0},
    {"pow", inf, 1e-30, inf}, {"pow", -inf, -1.5, 0},   {"pow", -8, 0.5, nan},     {"pow", -2, 1e-30, nan},
    {"pow", nan, 1, nan},     {"pow", 2, nan, nan},     {"pow", -2, 3, -8},        {"pow", -2, 4, 16},
    {"pow", 3, 4, 81},        {"pow", 2, -3, 0.125},    {"pow", -1, 16777215, -1}, {"pow", -1, 16777216, 1},
    {"pow", -1, 1e30, 1},     {"pow", 10, 400, inf},    {"pow", -10, 401, -inf},   {"pow", 10, -400, 0},
    {"pow", -10, -401, -0.0}, {"pow", 7, 1, 7},         {"pow", 1e-30, 1, 1e-30},
};

template <class T>
void check_special_values(std::span<const Special> specials) {
  for (const Special& s : specials) {
    const T x = static_cast<T>(s.x), y = static_cast<T>(s.y), want = static_cast<T>(s.result);
    const T got = compiled_function<T>(s.name).call(x, y);
    EXPECT_TRUE(same_bits(got, want)) << s.name << " of " << x << ", " << y << " is " << got << ", not " << want;
  }
}

TEST(ScalarSpecialValues, unary) {
  check_special_values<float>(unary_specials);
  check_special_values<double>(unary_specials);
}
TEST(ScalarSpecialValues, minimum_and_maximum) {
  check_special_values<float>(choice_specials);
  check_special_values<double>(choice_specials);
}
TEST(ScalarSpecialValues, pow) {
  check_special_values<float>(pow_specials);
  check_special_values<double>(pow_specials);
}

// For denormal numbers these functions only multiply by 1 or 1/2, so their results are exact.
TEST(ScalarSpecialValues, denormal_numbers_are_not_flushed) {
  for (int i = 1; i < 1000; ++i) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(i)), even = std::bit_cast<float>(2U * i);
    EXPECT_EQ(compiled::tanh_f32(x), x);
    EXPECT_EQ(compiled::gelu_f32(even), x);
    EXPECT_EQ(compiled::silu_f32(-even), -x);
    EXPECT_EQ(compiled::gelu_tanh_f32(even), x);
    EXPECT_EQ(compiled::pow_f32(x, 1), x);
  }
}

// Arguments as close to a multiple of pi/2 as any (found by continued fractions), and what mpmath gives with 400 bits,
// rounded. And the end of the range of f64.
TEST(ScalarSpecialValues, sine_and_cosine_of_hard_arguments) {
  EXPECT_EQ(compiled::sin_f32(0x1.f37c8ap+95F), 0x1p+0F);
  EXPECT_EQ(compiled::cos_f32(0x1.f37c8ap+95F), -0x1.bbdd52p-30F);
  EXPECT_EQ(compiled::sin_f64(0x1.6c6cbc45dc8dep+5), 0x1p+0);
  EXPECT_EQ(compiled::cos_f64(0x1.6c6cbc45dc8dep+5), -0x1.6d61b58c99c43p-61);
  EXPECT_FALSE(std::isnan(compiled::sin_f64(0x1p29)));
  EXPECT_TRUE(std::isnan(compiled::sin_f64(std::nextafter(0x1p29, HUGE_VAL))));
  EXPECT_TRUE(std::isnan(compiled::cos_f64(-1e300)));
  EXPECT_FALSE(std::isnan(compiled::cos_f32(std::numeric_limits<float>::max())));
}

// The published vectors of Random123 (kat_vectors, philox4x32-10).
TEST(Philox, known_answers) {
  struct Vector {
    std::array<std::uint32_t, 4> counter;
    std::array<std::uint32_t, 2> key;
    std::array<std::uint32_t, 4> result;
  };
  const Vector vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Vector& v : vectors) {
    const U32x4 r =
        compiled::philox_4x32_10({v.counter[0], v.counter[1], v.counter[2], v.counter[3]}, v.key[0], v.key[1]);
    EXPECT_EQ((std::array{r.x, r.y, r.z, r.w}), v.result);
  }
}

// ------------------------------------------------------------------------------------------------- all of f32

struct DoubleOracle {
  const char* name;
  double (*call)(double);
};
// Computed with the C library's double functions, which are also independent of the oracles in long double.
constexpr DoubleOracle double_oracles[] = {
    {"exp", [](double x) { return std::exp(x); }},
    {"log", [](double x) { return std::log(x); }},
    {"tanh", [](double x) { return std::tanh(x); }},
    {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"erf", [](double x) { return std::erf(x); }},
    {"rsqrt", [](double x) { return 1 / std::sqrt(x); }},
    {"gelu", [](double x) { return x < -20 ? -0.0 : x / 2 * std::erfc(-x * 0.7071067811865476); }},
    {"gelu_tanh",
     [](double x) {
       return x < -20 ? -0.0 : x > 20 ? x : x / (1 + std::exp(-1.5957691216057308 * x * (1 + 0.044715 * x * x)));
     }},
    {"sin", [](double x) { return std::sin(x); }},
    {"cos", [](double x) { return std::cos(x); }},
    {"silu", [](double x) { return x < -200 ? -0.0 : x / (1 + std::exp(-x)); }},
};

// The error of a quantile, without an oracle for it: the error of the probability divided by the density.
double quantile_error(float z, double p) {
  const double q = p - 0.5;
  const double excess = std::fabs(q) < 0.25 ? std::erf(z * 0.7071067811865476) / 2 - q
                        : q < 0             ? std::erfc(-z * 0.7071067811865476) / 2 - p
                                            : (1 - p) - std::erfc(z * 0.7071067811865476) / 2;
  const double density = std::exp(-0.5 * z * static_cast<double>(z)) * 0.3989422804014327;
  return scaled(std::fabs(excess / density), 23 - exponent_of(static_cast<double>(z)));
}

template <class Error>
Worst<float> worst_of_all_floats(float low, const Error& error) {
  Worst<float> worst;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); ++bits) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!(x < low)) worst.take(error(x), x, 0);
  }
  return worst;
}

// About five minutes per function: --gtest_also_run_disabled_tests --gtest_filter=*every_float*
TEST(ScalarAccuracy, DISABLED_f32_within_bounds_for_every_float) {
  for (const Bound& bound : bounds) {
    const auto* oracle = std::find_if(std::begin(double_oracles), std::end(double_oracles),
                                      [&](const DoubleOracle& o) { return std::string(o.name) == bound.name; });
    if (oracle == std::end(double_oracles)) continue;
    const auto call = compiled_function<float>(bound.name).call;
    expect_within(bound, worst_of_all_floats(static_cast<float>(bound.low),
                                             [&](float x) { return ulp_error(call(x, 0), oracle->call(x)); }));
  }
}

TEST(ScalarAccuracy, DISABLED_inverse_normal_cdf_within_bounds_for_every_float) {
  const auto call = compiled_function<float>("inverse_normal_cdf").call;
  expect_within(bounds[std::size(bounds) - 1], worst_of_all_floats(-HUGE_VALF, [&](float p) {
                  if (!(p > 0 && p < 1)) return 0.0;
                  return p == 0.5F ? (call(p, 0) == 0 ? 0.0 : HUGE_VAL) : quantile_error(call(p, 0), p);
                }));
}

}  // namespace
}  // namespace lockstep::testing
