// The table of scalar functions: bodies recorded from the *.inc files, derivatives, and oracles in long double.
#include <cmath>
#include <deque>
#include <map>
#include <numbers>
#include <utility>

#include "api/internal/mutex.h"
#include "lockstep/error.h"
#include "lockstep/program.h"
#include "ops/scalar/dialect_record.h"
#include "ops/scalar/oracles.h"

namespace lockstep {
namespace {

#include "ops/scalar/all.inc"

struct Table {
  RecursiveMutex mutex;
  std::deque<ScalarFunction> functions LOCKSTEP_GUARDED_BY(mutex);  // stable addresses
  std::deque<Program> bodies LOCKSTEP_GUARDED_BY(mutex);
  std::map<std::pair<std::string, lks_dtype>, const ScalarFunction*, std::less<>> index LOCKSTEP_GUARDED_BY(mutex);
};

const Program* record_body(const ScalarFunction& f, std::deque<Program>& bodies) {
  ProgramBuilder builder;
  ProgramBuilder* outer = std::exchange(recording::builder, &builder);
  std::vector<Expr> args;
  for (std::uint32_t i = 0; i < f.arity; ++i) args.push_back(builder.input(f.dtype));
  const Expr result = f.body(args);
  recording::builder = outer;
  bodies.push_back(builder.finish(std::span(&result, 1)));
  return &bodies.back();
}

const ScalarFunction& add(Table& table, ScalarFunction function) {
  if (function.name.empty() || !function.body || !function.oracle || function.arity == 0 || function.arity > 3) {
    ErrorBuilder(ErrorId::invalid_op_definition, function.name,
                 "a scalar function needs a name, one to three "
                 "arguments, a body and an oracle")
        .raise();
  }
  LockGuard lock(table.mutex);
  const std::pair key(function.name, function.dtype);
  if (table.index.contains(key)) {
    ErrorBuilder(ErrorId::already_registered, function.name, "a scalar function of that name and dtype exists")
        .fix("choose a name with your own prefix, such as acme::" + function.name)
        .raise();
  }
  function.lowered = record_body(function, table.bodies);
  table.functions.push_back(std::move(function));
  table.index[key] = &table.functions.back();
  return table.functions.back();
}

// ------------------------------------------------------------------------------------------------- the functions

using Args = std::span<const Expr>;
using Numbers = std::span<const long double>;

template <Expr (*function)(Expr)>
Expr unary(Args a) {
  return function(a[0]);
}
template <Expr (*function)(Expr, Expr)>
Expr binary(Args a) {
  return function(a[0], a[1]);
}

// Registers `f` for f32 and for f64, which differ only in their bodies.
void add_both(Table& table, ScalarFunction f, Expr (*f32)(Args), Expr (*f64)(Args)) {
  f.dtype = LKS_F32;
  f.body = f32;
  add(table, f);
  f.dtype = LKS_F64;
  f.body = f64;
  add(table, f);
}

// x, limited to the range in which the factor beside it is not 0 to working precision. Keeps infinity times 0 out of
// derivatives.
Expr bounded(Expr x) {
  constexpr double bound = 1000;
  return select(x > bound, x.constant(bound), select(x < -bound, x.constant(-bound), x));
}

// d/dx of x gate(x).
Expr gated(Expr x, Expr gate, Expr gate_slope) { return gate + bounded(x) * gate_slope; }

// The density of the normal distribution.
Expr normal_density(Expr x) {
  constexpr double density = std::numbers::sqrt2 / 2 * std::numbers::inv_sqrtpi;
  return density * exp(-0.5 * x * x);
}

// The slope of sigmoid is not computed as gate (1 - gate): where gate is nearly 1, the difference has no correct
// digits, and second derivatives consist of it.
Expr sigmoid_slope(Expr x) { return 0.25 * tanh_slope(0.5 * x); }

Expr derivative_of_gelu(Args a, Expr, std::uint32_t) {
  const Expr x = bounded(a[0]);
  return gated(x, normal_cdf(x), normal_density(x));
}

Expr derivative_of_gelu_tanh(Args a, Expr, std::uint32_t) {
  constexpr double linear = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi, cubic = 0.044715 * linear;
  const Expr x = bounded(a[0]);
  const Expr exponent = x * (linear + cubic * x * x);
  return gated(x, sigmoid(exponent), sigmoid_slope(exponent) * (linear + 3 * cubic * x * x));
}

Expr derivative_of_silu(Args a, Expr, std::uint32_t) { return gated(a[0], sigmoid(a[0]), sigmoid_slope(a[0])); }

// The gradient of x^y by x: y x^(y-1). x^0 is constant, even at 0, where x^-1 is infinite, and so is x^infinity where
// it is 0. If x^(y-1) is out of range but x^y is not, as may happen for y = -1, then upstream x^y / x may be in range,
// and so may y times it, depending on the order of the factors.
Expr chain_of_base(Expr x, Expr y, Expr value, Expr upstream) {
  const Expr zero = value.constant(0), one = value.constant(1);
  const double least = value.dtype() == LKS_F64 ? 0x1p-1022 : 0x1p-126;
  const auto in_range = [&](Expr v) { return (abs(v) >= least) & (abs(v) < HUGE_VAL); };
  const Expr exponent = select(y == 0, one, y);
  const Expr power = pow(x, exponent - 1);
  const Expr lost = (!in_range(power)) & in_range(value);
  const Expr divisor = select(x == 0, one, x), weighted = upstream * exponent;
  const Expr in_order = select(lost, weighted * value / divisor, weighted * power);
  const Expr otherwise = select(lost, exponent * (upstream * value / divisor), upstream * (exponent * power));
  const Expr flat = (y == 0) | ((power == 0) & (abs(y) == value.constant(HUGE_VAL)));
  // y - 1 may round to an integer although y is none. Then the root of a negative number would seem to have a slope.
  return select(flat, zero, select(value == value, select(in_range(weighted), in_order, otherwise), value));
}

// The gradient of x^y by y: x^y log x, which is NaN for negative x. 0^y is 0 for all y > 0, and infinity^y is 0 for all
// y < 0. There, and at y = 0 as the limit from that side, the gradient is 0 in place of 0 times infinity.
Expr chain_of_exponent(Expr x, Expr y, Expr value, Expr upstream) {
  const Expr infinity = value.constant(HUGE_VAL);
  const Expr constant = ((x == 0) & (y >= 0)) | ((x == infinity) & (y <= 0));
  return select(constant, value.constant(0), upstream * value * log(x));
}

Expr chain_of_pow(Args a, Expr value, std::uint32_t which, Expr upstream) {
  return which == 0 ? chain_of_base(a[0], a[1], value, upstream) : chain_of_exponent(a[0], a[1], value, upstream);
}

// The gradient of the smaller of two by `chosen`: all of it if `chosen` is smaller, none if it is larger, half if both
// are equal. NaN is chosen before any number.
Expr chain_of_choice(Expr chosen, Expr other, Expr upstream) {
  const Expr zero = upstream.constant(0), half = 0.5 * upstream;
  const Expr of_nan = select(other == other, upstream, half);
  const Expr of_no_less = select(chosen == chosen, zero, of_nan);
  return select(chosen < other, upstream, select(chosen == other, half, of_no_less));
}

void add_exponential(Table& t) {
  add_both(t,
           {.name = "exp",
            .derivative = [](Args, Expr y, std::uint32_t) { return y; },
            .oracle = [](Numbers a) { return std::exp(a[0]); }},
           unary<exp_f32>, unary<exp_f64>);
  add_both(t,
           {.name = "log",
            .chain = [](Args a, Expr, std::uint32_t, Expr upstream) { return upstream / a[0]; },
            .oracle = [](Numbers a) { return std::log(a[0]); }},
           unary<log_f32>, unary<log_f64>);
  add_both(t,
           {.name = "pow", .arity = 2, .chain = chain_of_pow, .oracle = [](Numbers a) { return std::pow(a[0], a[1]); }},
           binary<pow_f32>, binary<pow_f64>);
  add_both(t,
           {.name = "tanh",
            .derivative = [](Args a, Expr, std::uint32_t) { return tanh_slope(a[0]); },
            .oracle = [](Numbers a) { return std::tanh(a[0]); }},
           unary<tanh_f32>, unary<tanh_f64>);
  add_both(t,
           {.name = "sigmoid",
            .derivative = [](Args a, Expr, std::uint32_t) { return sigmoid_slope(a[0]); },
            .oracle = [](Numbers a) { return oracles::sigmoid(a[0]); }},
           unary<sigmoid_f32>, unary<sigmoid_f64>);
  add_both(t,
           {.name = "tanh_slope",
            .derivative = [](Args a, Expr slope, std::uint32_t) { return -2 * tanh(a[0]) * slope; },
            .oracle = [](Numbers a) { return oracles::tanh_slope(a[0]); }},
           unary<tanh_slope_f32>, unary<tanh_slope_f64>);
}

void add_gates(Table& t) {
  add_both(t,
           {.name = "gelu", .derivative = derivative_of_gelu, .oracle = [](Numbers a) { return oracles::gelu(a[0]); }},
           unary<gelu_f32>, unary<gelu_f64>);
  add_both(t,
           {.name = "gelu_tanh",
            .derivative = derivative_of_gelu_tanh,
            .oracle = [](Numbers a) { return oracles::gelu_tanh(a[0]); }},
           unary<gelu_tanh_f32>, unary<gelu_tanh_f64>);
  add_both(t,
           {.name = "silu", .derivative = derivative_of_silu, .oracle = [](Numbers a) { return oracles::silu(a[0]); }},
           unary<silu_f32>, unary<silu_f64>);
}

void add_normal(Table& t) {
  add_both(t,
           {.name = "erf",
            .derivative =
                [](Args a, Expr, std::uint32_t) {
                  const Expr x = bounded(a[0]);
                  return 2 * std::numbers::inv_sqrtpi * exp(-(x * x));
                },
            .oracle = [](Numbers a) { return std::erf(a[0]); }},
           unary<erf_f32>, unary<erf_f64>);
  add_both(t,
           {.name = "normal_cdf",
            .derivative = [](Args a, Expr, std::uint32_t) { return normal_density(bounded(a[0])); },
            .oracle = [](Numbers a) { return oracles::normal_cdf(a[0]); },
            .max_ulp = 5},
           unary<normal_cdf_f32>, unary<normal_cdf_f64>);
  add_both(
      t,
      {.name = "inverse_normal_cdf",
       .derivative = [](Args, Expr z,
                        std::uint32_t) { return std::numbers::sqrt2 / std::numbers::inv_sqrtpi * exp(0.5 * z * z); },
       .oracle = [](Numbers a) { return oracles::inverse_normal_cdf(a[0]); }},
      unary<inverse_normal_cdf_f32>, unary<inverse_normal_cdf_f64>);
}

void add_algebraic(Table& t) {
  add_both(t,
           {.name = "rsqrt",
            .chain = [](Args, Expr y, std::uint32_t, Expr upstream) { return -0.5 * (upstream * y * y * y); },
            .oracle = [](Numbers a) { return 1 / std::sqrt(a[0]); }},
           unary<rsqrt_f32>, unary<rsqrt_f64>);
  add_both(
      t,
      {.name = "minimum",
       .arity = 2,
       .chain = [](Args a, Expr, std::uint32_t i, Expr upstream) { return chain_of_choice(a[i], a[1 - i], upstream); },
       .oracle = [](Numbers a) { return oracles::minimum(a[0], a[1]); }},
      binary<minimum_f32>, binary<minimum_f64>);
  add_both(t,
           {.name = "maximum",
            .arity = 2,
            .chain = [](Args a, Expr, std::uint32_t i,
                        Expr upstream) { return chain_of_choice(-a[i], -a[1 - i], upstream); },
            .oracle = [](Numbers a) { return oracles::maximum(a[0], a[1]); }},
           binary<maximum_f32>, binary<maximum_f64>);
}

// f64 stops at 2^29 (trig.inc).
long double if_reducible(long double x, long double exact) { return std::fabs(x) <= 0x1p29L ? exact : std::nanl(""); }

void add_trigonometric(Table& t) {
  const auto add_each = [&](ScalarFunction f, Expr (*f32)(Args), Expr (*f64)(Args),
                            long double (*f64_oracle)(Numbers)) {
    f.max_ulp = 1;
    f.dtype = LKS_F32;
    f.body = f32;
    add(t, f);
    f.dtype = LKS_F64;
    f.body = f64;
    f.oracle = f64_oracle;
    add(t, f);
  };
  add_each({.name = "sin",
            .derivative = [](Args a, Expr, std::uint32_t) { return cos(a[0]); },
            .oracle = [](Numbers a) { return std::sin(a[0]); },
            .slope = [](Numbers a) { return std::cos(a[0]); }},
           unary<sin_f32>, unary<sin_f64>, [](Numbers a) { return if_reducible(a[0], std::sin(a[0])); });
  add_each({.name = "cos",
            .derivative = [](Args a, Expr, std::uint32_t) { return -sin(a[0]); },
            .oracle = [](Numbers a) { return std::cos(a[0]); },
            .slope = [](Numbers a) { return -std::sin(a[0]); }},
           unary<cos_f32>, unary<cos_f64>, [](Numbers a) { return if_reducible(a[0], std::cos(a[0])); });
}

Table& table() {
  static Table* t = [] {
    auto* fresh = new Table;
    add_exponential(*fresh);
    add_gates(*fresh);
    add_normal(*fresh);
    add_algebraic(*fresh);
    add_trigonometric(*fresh);
    return fresh;
  }();
  return *t;
}

}  // namespace

const ScalarFunction* find_scalar_function(std::string_view name, lks_dtype dtype) {
  Table& t = table();
  LockGuard lock(t.mutex);
  const auto it = t.index.find(std::pair(std::string(name), dtype));
  return it == t.index.end() ? nullptr : it->second;
}

std::vector<const ScalarFunction*> scalar_functions() {
  Table& t = table();
  LockGuard lock(t.mutex);
  std::vector<const ScalarFunction*> all;
  for (const ScalarFunction& f : t.functions) all.push_back(&f);
  return all;
}

const ScalarFunction& register_scalar_function(ScalarFunction function) { return add(table(), std::move(function)); }

}  // namespace lockstep
