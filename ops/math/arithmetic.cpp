#include <algorithm>
#include <cmath>

#include "lockstep/ops/math.h"
#include "ops/built_in.h"
#include "ops/differentiate.h"
#include "ops/pointwise.h"

namespace lockstep {
namespace {

constexpr CaseValues away_from_zero{CaseValues::Kind::range, 0.5, 3};
constexpr CaseValues distinct{CaseValues::Kind::distinct};
using Slope = std::optional<long double>;

PointwiseOptions numeric(std::string doc, ErrorClass error_class = ErrorClass::rounded, CaseValues values = {}) {
  return {.doc = std::move(doc), .types = types::numeric, .error_class = error_class, .values = values};
}

// The gradient by the divisor from b, y = a / b and dy: -dy y / b. If dy y is out of range, it is -(dy / b) y, which is
// in range if the result is.
const OpDef& divisor_gradient_op() {
  static const OpDef op = [] {
    OpDef made = make_pointwise_op("div.grad1", 3,
                                   [](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                     const Expr b = in[0], y = in[1], dy = in[2], product = dy * y, size = abs(product);
                                     const double least = b.dtype() == LKS_F64 ? 0x1p-1022 : 0x1p-126;
                                     const Expr fits = (size >= least) & (size < HUGE_VAL);
                                     const Expr exact = (y == 0) | (y - y != 0);  // y is 0, infinite or NaN
                                     const Expr whole = fits | exact, quotient = select(whole, product, dy) / b;
                                     return std::vector<Expr>{-select(whole, quotient, quotient * y)};
                                   },
                                   {.doc = "Gradient of div by b."});
    complete_pointwise(made);
    return made;
  }();
  return op;
}

// The slope of x^y. By the base: y x^(y-1), and 0 for y = 0. By the exponent: x^y log x, but NaN for x < 0, and 0 where
// x^y is 0 for all exponents near y: at x = 0 for y > 0, at x = infinity for y < 0, and at y = 0 as from there.
Slope slope_of_pow(std::span<const long double> a, std::size_t which) {
  const long double x = a[0], y = a[1];
  if (std::isnan(x) || std::isnan(y) || (which == 0 && std::isinf(y))) return std::nullopt;
  if (which == 0) {
    if (y == 0) return 0;
    if (x < 0 && std::isfinite(x) && y != std::trunc(y)) return std::nanl("");
    // At -0 the sign depends on whether y - 1 is whole, which it is after rounding to f32 for tiny y.
    if (x == 0 && static_cast<float>(y - 1) == -1) return std::nullopt;
    return x <= 0 || std::isinf(x) ? Slope(y * std::pow(x, y - 1)) : std::nullopt;
  }
  if (x < 0) return std::nanl("");
  if ((x == 0 && y >= 0) || (std::isinf(x) && y <= 0)) return 0;
  return x == 0 || std::isinf(x) ? Slope(std::pow(x, y) * std::log(x)) : std::nullopt;
}

// The gradient of pow from x, y and upstream. What follows from pow_gradient_op by differentiation follows from this
// one: it depends on x^y only as far as x^y has a part in the result.
const OpDef& whole_pow_gradient_op(std::size_t which) {
  static const std::vector<OpDef> ops = [] {
    std::vector<OpDef> all;
    for (std::size_t i = 0; i < 2; ++i) {
      all.push_back(make_pointwise_op("pow.slope" + std::to_string(i), 3,
                                      [i](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                        const ScalarFunction& f = *find_scalar_function("pow", in[0].dtype());
                                        const auto input = static_cast<std::uint32_t>(i);
                                        const Expr value = pow(in[0], in[1]);
                                        return std::vector<Expr>{f.times_derivative(in[2], in.first(2), value, input)};
                                      },
                                      {.doc = "Gradient of pow, with x^y computed again."}));
    }
    for (OpDef& op : all) complete_pointwise(op);
    return all;
  }();
  return ops[which];
}

// The inputs of pow_gradient_op of which whole_pow_gradient_op is a function: not x^y.
constexpr std::size_t independent[] = {0, 1, 3};

// The gradient of pow from x, y, x^y and upstream: the scalar function's rule, without computing x^y again. Its own
// gradient does not treat x^y as an input: a gradient of 0 by x^y would then be multiplied by the slope of x^y, which
// may be infinite.
const OpDef& pow_gradient_op(std::size_t which) {
  static const std::vector<OpDef> ops = [] {
    std::vector<OpDef> all;
    for (std::size_t i = 0; i < 2; ++i) {
      all.push_back(make_pointwise_op("pow.grad" + std::to_string(i), 4,
                                      [i](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                        const ScalarFunction& f = *find_scalar_function("pow", in[0].dtype());
                                        const auto input = static_cast<std::uint32_t>(i);
                                        return std::vector<Expr>{f.times_derivative(in[3], in.first(2), in[2], input)};
                                      },
                                      {.doc = "Gradient of pow."}));
      OpDef& op = all.back();
      op.saves.assign(4, {});
      for (std::size_t k : independent) op.saves[k] = {.inputs = 0b1011};
      op.gradient = [i](GradContext& g) {
        const Tensor upstream = g.upstream();
        for (std::size_t k = 0; k < std::size(independent); ++k) {
          if (!g.needs(independent[k])) continue;
          const GradientOp& gradient = gradient_op(whole_pow_gradient_op(i), k);
          std::vector<Operand> inputs;
          for (std::size_t used : gradient.used) inputs.push_back(g.input(independent[used]));
          inputs.emplace_back(upstream, g.where());
          g.set(independent[k], invoke1(*gradient.op, inputs));
        }
      };
    }
    return all;
  }();
  return ops[which];
}

// The slope of max(chosen, other) by `chosen`. Equal values share it, and NaN is larger than any number.
Slope slope_of_choice(long double chosen, long double other) {
  if (std::isnan(chosen)) return std::isnan(other) ? 0.5L : 1;
  return std::isnan(other) || chosen < other ? 0 : chosen == other ? 0.5L : 1;
}

// The steps of clip for x, low and high: the larger of x and low, then the smaller of that and high, so that high wins
// if the bounds cross. NaN propagates, and NaN in x takes precedence over NaN in a bound.
Expr raised(std::span<const Expr> in) {
  const Expr x = in[0], low = in[1];
  if (LKS_DTYPE_CLASS(x.dtype()) == LKS_CLASS_INT) return select(x < low, low, x);
  return select(low <= x, x, select(x == x, low, x));
}
Expr clipped(Expr x, Expr low, Expr high) {
  const Expr all[] = {x, low, high};
  const Expr lower = raised(all);
  if (LKS_DTYPE_CLASS(x.dtype()) == LKS_CLASS_INT) return select(high < lower, high, lower);
  return select(lower <= high, lower, select(lower == lower, high, lower));
}

// The gradient goes to x or to the bound, whichever is the result. Where x is NaN, x gets dy - dy: 0, or NaN if dy is
// not finite.
Expr clip_gradient(std::span<const Expr> in, std::size_t which) {
  const Expr x = in[0], low = in[1], high = in[2], dy = in[3], zero = dy.constant(0);
  if (which == 0) return select((low <= x) & (x <= high), dy, select(x == x, zero, dy - dy));
  if (which == 1) return select((!(low <= x)) & (x == x) & ((low <= high) | (low != low)), dy, zero);
  const Expr lower = raised(in);
  return select((!(lower <= high)) & (lower == lower), dy, zero);
}

const OpDef& clip_gradient_op(std::size_t which) {
  static const std::vector<OpDef> ops = [] {
    std::vector<OpDef> all;
    for (std::size_t i = 0; i < 3; ++i) {
      all.push_back(make_pointwise_op("clip.grad" + std::to_string(i), 4,
                                      [i](ProgramBuilder&, const OpCall&, std::span<const Expr> in) {
                                        return std::vector<Expr>{clip_gradient(in, i)};
                                      },
                                      {.doc = "Gradient of clip."}));
    }
    for (OpDef& op : all) complete_pointwise(op);
    return all;
  }();
  return ops[which];
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(10, add) {
  OpDef op = pointwise_op(
      "add", [](Expr a, Expr b) { return a + b; }, numeric("Sum of each pair."));
  op.commutative = true;
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    if (g.needs(0)) g.set(0, dy);
    if (g.needs(1)) g.set(1, dy);
  };
  return op;
}

LOCKSTEP_BUILT_IN(11, sub) {
  OpDef op = pointwise_op(
      "sub", [](Expr a, Expr b) { return a - b; }, numeric("Difference of each pair."));
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    if (g.needs(0)) g.set(0, dy);
    if (g.needs(1)) g.set(1, lockstep::neg({dy, g.where()}));
  };
  return op;
}

LOCKSTEP_BUILT_IN(12, mul) {
  OpDef op = pointwise_op(
      "mul", [](Expr a, Expr b) { return a * b; }, numeric("Product of each pair."));
  op.commutative = true;
  op.saves = {{.inputs = 0b10}, {.inputs = 0b01}};
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    if (g.needs(0)) g.set(0, lockstep::mul({dy, g.where()}, g.input(1)));
    if (g.needs(1)) g.set(1, lockstep::mul({dy, g.where()}, g.input(0)));
  };
  return op;
}

LOCKSTEP_BUILT_IN(13, div) {
  OpDef op = pointwise_op(
      "div", [](Expr a, Expr b) { return a / b; },
      numeric("Quotient of each pair; integers truncate toward zero, and x / 0 is 0.", ErrorClass::rounded,
              away_from_zero));
  op.saves = {{.inputs = 0b10}, {.inputs = 0b10, .outputs = 1}};
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    if (g.needs(0)) g.set(0, lockstep::div({dy, g.where()}, g.input(1)));
    if (!g.needs(1)) return;
    const Tensor y = g.output();
    g.set(1, invoke1(divisor_gradient_op(), {g.input(1), Operand(y, g.where()), Operand(dy, g.where())}));
  };
  return op;
}

LOCKSTEP_BUILT_IN(14, neg) {
  OpDef op = pointwise_op(
      "neg", [](Expr x) { return -x; }, numeric("-x.", ErrorClass::exact));
  op.gradient = [](GradContext& g) { g.set(0, lockstep::neg({g.upstream(), g.where()})); };
  return op;
}

LOCKSTEP_BUILT_IN(15, abs) {
  OpDef op = pointwise_op(
      "abs", [](Expr x) { return lockstep::abs(x); },
      numeric("Magnitude of x; gradient 0 at 0.", ErrorClass::exact, distinct));
  op.slope = [](std::span<const long double> x, std::size_t) -> Slope {
    return std::isnan(x[0]) ? x[0] : x[0] > 0 ? 1 : x[0] < 0 ? -1 : 0;
  };
  return op;
}

LOCKSTEP_BUILT_IN(16, square) {
  return pointwise_op(
      "square", [](Expr x) { return x * x; }, numeric("x times x."));
}

LOCKSTEP_BUILT_IN(17, sqrt) {
  return unary_op("sqrt", [](Expr x) { return lockstep::sqrt(x); },
                  {UnaryGradient::From::output, [](Expr y, Expr dy) { return dy / (y + y); }},
                  {.doc = "Square root.", .error_class = ErrorClass::rounded, .values = away_from_zero});
}

LOCKSTEP_BUILT_IN(18, rsqrt) {
  return unary_op(
      "rsqrt", [](Expr x) { return lockstep::rsqrt(x); },
      // Multiplies by one factor after the other: y^3 may overflow or underflow where the product does not.
      {UnaryGradient::From::output, [](Expr y, Expr dy) { return -0.5 * (dy * y * y * y); }},
      {.doc = "Reciprocal of the square root.", .error_class = ErrorClass::elementary, .values = away_from_zero});
}

LOCKSTEP_BUILT_IN(19, pow) {
  OpDef op = pointwise_op("pow", [](Expr a, Expr b) { return lockstep::pow(a, b); },
                          {.doc = "a to the power b.", .error_class = ErrorClass::power, .values = away_from_zero});
  op.slope = &slope_of_pow;
  op.saves = {{.inputs = 0b11, .outputs = 1}};
  op.gradient = [](GradContext& g) {
    const Tensor value = g.output(), dy = g.upstream();
    for (std::size_t i = 0; i < 2; ++i) {
      if (!g.needs(i)) continue;
      g.set(i,
            invoke1(pow_gradient_op(i), {g.input(0), g.input(1), Operand(value, g.where()), Operand(dy, g.where())}));
    }
  };
  return op;
}

LOCKSTEP_BUILT_IN(30, minimum) {
  OpDef op = pointwise_op(
      "minimum", [](Expr a, Expr b) { return lockstep::minimum(a, b); },
      numeric("The smaller of each pair; NaN propagates, -0 is below +0. Equal operands share the "
              "gradient, NaN takes it.",
              ErrorClass::exact, distinct));
  op.slope = [](std::span<const long double> a, std::size_t which) {
    return slope_of_choice(-a[which], -a[1 - which]);
  };
  return op;
}

LOCKSTEP_BUILT_IN(31, maximum) {
  OpDef op = pointwise_op(
      "maximum", [](Expr a, Expr b) { return lockstep::maximum(a, b); },
      numeric("The larger of each pair; NaN propagates, -0 is below +0. Equal operands share the "
              "gradient, NaN takes it.",
              ErrorClass::exact, distinct));
  op.slope = [](std::span<const long double> a, std::size_t which) { return slope_of_choice(a[which], a[1 - which]); };
  return op;
}

LOCKSTEP_BUILT_IN(29, clip) {
  OpDef op =
      pointwise_op("clip", &clipped,
                   numeric("x, but no less than `low`, and no more than `high`, which wins where they cross; NaN "
                           "of any operand propagates.",
                           ErrorClass::exact, distinct));
  op.inputs = {{.name = "x", .types = types::numeric, .doc = "what to limit"},
               {.name = "low", .types = types::numeric, .doc = "the least result"},
               {.name = "high", .types = types::numeric, .doc = "the largest result; wins over low"}};
  op.saves = {{.inputs = 0b111}};
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    for (std::size_t i = 0; i < 3; ++i) {
      if (!g.needs(i)) continue;
      g.set(i, invoke1(clip_gradient_op(i), {g.input(0), g.input(1), g.input(2), Operand(dy, g.where())}));
    }
  };
  op.slope = [](std::span<const long double> a, std::size_t which) -> Slope {
    const long double x = a[0], low = a[1], high = a[2];
    if (std::isnan(x)) return which == 0 ? Slope(0) : std::nullopt;
    if (std::isnan(low) || std::isnan(high)) return std::nullopt;
    const std::size_t chosen = std::max(x, low) > high ? 2 : x < low ? 1 : 0;
    return which == chosen ? 1 : 0;
  };
  return op;
}

}  // namespace defs

LOCKSTEP_BINARY_FUNCTION(add)
LOCKSTEP_BINARY_FUNCTION(sub)
LOCKSTEP_BINARY_FUNCTION(mul)
LOCKSTEP_BINARY_FUNCTION(div)
LOCKSTEP_UNARY_FUNCTION(neg)
LOCKSTEP_UNARY_FUNCTION(abs)
LOCKSTEP_UNARY_FUNCTION(square)
LOCKSTEP_UNARY_FUNCTION(sqrt)
LOCKSTEP_UNARY_FUNCTION(rsqrt)
LOCKSTEP_BINARY_FUNCTION(pow)
LOCKSTEP_BINARY_FUNCTION(minimum)
LOCKSTEP_BINARY_FUNCTION(maximum)

Tensor clip(Operand x, Operand low, Operand high) {
  static const OpDef& op = built_in("clip");
  return invoke1(op, {x, low, high});
}

}  // namespace lockstep
