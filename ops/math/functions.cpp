#include <cmath>

#include "lockstep/ops/math.h"
#include "ops/built_in.h"
#include "ops/pointwise.h"

namespace lockstep {
namespace {

constexpr CaseValues positive{CaseValues::Kind::range, 0.1, 4};
constexpr CaseValues distinct{CaseValues::Kind::distinct};
constexpr auto from_output = UnaryGradient::From::output;

// An op that is one scalar function.
OpDef scalar_op(const char* name, Expr (*body)(Expr), std::string doc, ErrorClass error_class) {
  OpDef op = pointwise_op(name, body, {.doc = std::move(doc), .error_class = error_class});
  const auto slope = find_scalar_function(name, LKS_F32)->slope;
  if (!slope) return op;
  op.slope = [slope](std::span<const long double> x, std::size_t) {
    return std::isnan(x[0]) ? std::nullopt : std::optional(slope(x.first(1)));
  };
  return op;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(20, exp) {
  return unary_op("exp", [](Expr x) { return lockstep::exp(x); }, {from_output, [](Expr y, Expr dy) { return dy * y; }},
                  {.doc = "e to the power x.", .error_class = ErrorClass::elementary});
}

LOCKSTEP_BUILT_IN(21, log) {
  return pointwise_op("log", [](Expr x) { return lockstep::log(x); },
                      {.doc = "Natural logarithm.", .error_class = ErrorClass::elementary, .values = positive});
}

LOCKSTEP_BUILT_IN(22, tanh) {
  return unary_op("tanh", [](Expr x) { return lockstep::tanh(x); },
                  {from_output, [](Expr y, Expr dy) { return dy * (1.0 - y * y); }},
                  {.doc = "Hyperbolic tangent.", .error_class = ErrorClass::transcendental});
}

LOCKSTEP_BUILT_IN(23, sigmoid) {
  return unary_op("sigmoid", [](Expr x) { return lockstep::sigmoid(x); },
                  {from_output, [](Expr y, Expr dy) { return dy * (y * (1.0 - y)); }},
                  {.doc = "1 / (1 + exp(-x)).", .error_class = ErrorClass::transcendental});
}

LOCKSTEP_BUILT_IN(25, relu) {
  // Written so that NaN propagates. The gradient reads the output, which the next layer keeps anyway.
  OpDef op = unary_op("relu", [](Expr x) { return select(x <= 0, x.constant(0), x); },
                      {from_output, [](Expr y, Expr dy) { return select(y <= 0, y.constant(0), dy); }},
                      {.doc = "max(x, 0); gradient 0 at 0.",
                       .types = types::numeric,
                       .error_class = ErrorClass::exact,
                       .values = distinct});
  op.slope = [](std::span<const long double> x, std::size_t) -> std::optional<long double> {
    return std::isnan(x[0]) ? std::nullopt : std::optional<long double>(x[0] > 0 ? 1 : 0);
  };
  return op;
}

// The ops of scalar_ops.def. Those above take other dtypes or values than these, or their gradients read the result,
// which a tape then keeps in place of x.
#define LOCKSTEP_SCALAR_OP(id, name, class_of_error, text)                                  \
  LOCKSTEP_BUILT_IN(id, name) {                                                             \
    return scalar_op(                                                                       \
        #name, [](Expr x) { return lockstep::name(x); }, text, ErrorClass::class_of_error); \
  }
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP

}  // namespace defs

LOCKSTEP_UNARY_FUNCTION(exp)
LOCKSTEP_UNARY_FUNCTION(log)
LOCKSTEP_UNARY_FUNCTION(tanh)
LOCKSTEP_UNARY_FUNCTION(sigmoid)
LOCKSTEP_UNARY_FUNCTION(relu)
#define LOCKSTEP_SCALAR_OP(id, name, error_class, doc) LOCKSTEP_UNARY_FUNCTION(name)
#include "lockstep/scalar_ops.def"
#undef LOCKSTEP_SCALAR_OP

}  // namespace lockstep
