#include "lockstep/ops/math.h"
#include "ops/built_in.h"
#include "ops/pointwise.h"

namespace lockstep {
namespace {

constexpr CaseValues away_from_zero{CaseValues::Kind::range, 0.5, 3};
constexpr CaseValues distinct{CaseValues::Kind::distinct};

PointwiseOptions numeric(std::string doc, ErrorClass error_class = ErrorClass::rounded, CaseValues values = {}) {
  return {.doc = std::move(doc), .types = types::numeric, .error_class = error_class, .values = values};
}

}  // namespace

namespace defs {

OpDef add() {
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

OpDef sub() {
  OpDef op = pointwise_op(
      "sub", [](Expr a, Expr b) { return a - b; }, numeric("Difference of each pair."));
  op.gradient = [](GradContext& g) {
    const Tensor dy = g.upstream();
    if (g.needs(0)) g.set(0, dy);
    if (g.needs(1)) g.set(1, lockstep::neg({dy, g.where()}));
  };
  return op;
}

OpDef mul() {
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

OpDef div() {
  return pointwise_op(
      "div", [](Expr a, Expr b) { return a / b; },
      numeric("Quotient of each pair; integers truncate toward zero, and x / 0 is 0.", ErrorClass::rounded,
              away_from_zero));
}

OpDef neg() {
  OpDef op = pointwise_op(
      "neg", [](Expr x) { return -x; }, numeric("-x.", ErrorClass::exact));
  op.gradient = [](GradContext& g) { g.set(0, lockstep::neg({g.upstream(), g.where()})); };
  return op;
}

OpDef abs() {
  return pointwise_op(
      "abs", [](Expr x) { return lockstep::abs(x); },
      numeric("Magnitude of x; gradient 0 at 0.", ErrorClass::exact, distinct));
}

OpDef square() {
  return pointwise_op(
      "square", [](Expr x) { return x * x; }, numeric("x times x."));
}

OpDef sqrt() {
  return unary_op("sqrt", [](Expr x) { return lockstep::sqrt(x); },
                  {UnaryGradient::From::output, [](Expr y) { return 0.5 / y; }},
                  {.doc = "Square root.", .error_class = ErrorClass::rounded, .values = away_from_zero});
}

OpDef rsqrt() {
  return unary_op(
      "rsqrt", [](Expr x) { return lockstep::rsqrt(x); },
      {UnaryGradient::From::output, [](Expr y) { return -0.5 * (y * y * y); }},
      {.doc = "Reciprocal of the square root.", .error_class = ErrorClass::elementary, .values = away_from_zero});
}

OpDef pow() {
  return pointwise_op("pow", [](Expr x, Expr y) { return lockstep::pow(x, y); },
                      {.doc = "x to the power y.", .error_class = ErrorClass::power, .values = away_from_zero});
}

OpDef minimum() {
  return pointwise_op(
      "minimum", [](Expr a, Expr b) { return lockstep::minimum(a, b); },
      numeric("The smaller of each pair; NaN propagates, -0 is below +0. Equal operands share the "
              "gradient.",
              ErrorClass::exact, distinct));
}

OpDef maximum() {
  return pointwise_op(
      "maximum", [](Expr a, Expr b) { return lockstep::maximum(a, b); },
      numeric("The larger of each pair; NaN propagates, -0 is below +0. Equal operands share the "
              "gradient.",
              ErrorClass::exact, distinct));
}

OpDef clip() {
  OpDef op = pointwise_op(
      "clip", [](Expr x, Expr low, Expr high) { return select(x < low, low, select(high < x, high, x)); },
      numeric("x, but no less than `low` and no more than `high`; NaN stays.", ErrorClass::exact, distinct));
  op.inputs = {{"x", types::numeric}, {"low", types::numeric}, {"high", types::numeric}};
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
