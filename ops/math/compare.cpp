#include "lockstep/ops/math.h"
#include "ops/built_in.h"
#include "ops/infer.h"
#include "ops/pointwise.h"

namespace lockstep {
namespace {

constexpr CaseValues small_integers{CaseValues::Kind::indices, -2, 2};  // so that equal pairs occur

// Comparisons take every dtype and give bool.
template <class F>
OpDef comparison(std::string name, F body, std::string doc) {
  OpDef op = pointwise_op(
      std::move(name), body,
      {.doc = std::move(doc), .types = types::any, .error_class = ErrorClass::exact, .values = small_integers});
  op.outputs[0].doc = "bool, of the shape to which the operands broadcast";
  op.infer = [](InferContext& c) { c.set(0, DType::boolean, broadcast_shape(c.call())); };
  op.differentiable = false;
  return op;
}

PointwiseOptions logic(std::string doc) {
  return {.doc = std::move(doc), .types = types::truth, .error_class = ErrorClass::exact};
}

OpDef without_gradient(OpDef op) {
  op.differentiable = false;
  return op;
}

}  // namespace

namespace defs {

LOCKSTEP_BUILT_IN(40, equal) {
  return comparison(
      "equal", [](Expr a, Expr b) { return a == b; }, "a == b.");
}
LOCKSTEP_BUILT_IN(41, not_equal) {
  return comparison(
      "not_equal", [](Expr a, Expr b) { return a != b; }, "a != b.");
}
LOCKSTEP_BUILT_IN(42, less) {
  return comparison(
      "less", [](Expr a, Expr b) { return a < b; }, "a < b.");
}
LOCKSTEP_BUILT_IN(43, less_equal) {
  return comparison(
      "less_equal", [](Expr a, Expr b) { return a <= b; }, "a <= b.");
}
LOCKSTEP_BUILT_IN(44, greater) {
  return comparison(
      "greater", [](Expr a, Expr b) { return b < a; }, "a > b.");
}
LOCKSTEP_BUILT_IN(45, greater_equal) {
  return comparison(
      "greater_equal", [](Expr a, Expr b) { return b <= a; }, "a >= b.");
}

LOCKSTEP_BUILT_IN(46, logical_and) {
  return without_gradient(pointwise_op(
      "logical_and", [](Expr a, Expr b) { return a & b; }, logic("Both hold.")));
}
LOCKSTEP_BUILT_IN(47, logical_or) {
  return without_gradient(pointwise_op(
      "logical_or", [](Expr a, Expr b) { return a | b; }, logic("Either holds.")));
}
LOCKSTEP_BUILT_IN(48, logical_xor) {
  return without_gradient(pointwise_op(
      "logical_xor", [](Expr a, Expr b) { return a ^ b; }, logic("One of them holds.")));
}
LOCKSTEP_BUILT_IN(49, logical_not) {
  return without_gradient(pointwise_op(
      "logical_not", [](Expr x) { return !x; }, logic("x does not hold.")));
}

LOCKSTEP_BUILT_IN(53, is_finite) {
  OpDef op = pointwise_op("is_finite", [](Expr x) { return x - x == x.constant(0); },
                          {.doc = "Neither NaN nor infinite.", .error_class = ErrorClass::exact});
  op.outputs[0].doc = "bool, of the extents of x";
  op.infer = [](InferContext& c) { c.set(0, DType::boolean, c.shape(0)); };
  op.differentiable = false;
  return op;
}

LOCKSTEP_BUILT_IN(50, where) {
  OpDef op = pointwise_op(
      "where", [](Expr condition, Expr a, Expr b) { return select(condition, a, b); },
      {.doc = "a where the condition holds, else b.", .types = types::any, .error_class = ErrorClass::exact});
  op.inputs = {{.name = "condition", .types = types::truth, .group = 'C', .doc = "which operand to take"},
               {.name = "a", .types = types::any, .doc = "where the condition holds"},
               {.name = "b", .types = types::any, .doc = "elsewhere"}};
  return op;
}

}  // namespace defs

LOCKSTEP_BINARY_FUNCTION(equal)
LOCKSTEP_BINARY_FUNCTION(not_equal)
LOCKSTEP_BINARY_FUNCTION(less)
LOCKSTEP_BINARY_FUNCTION(less_equal)
LOCKSTEP_BINARY_FUNCTION(greater)
LOCKSTEP_BINARY_FUNCTION(greater_equal)
LOCKSTEP_BINARY_FUNCTION(logical_and)
LOCKSTEP_BINARY_FUNCTION(logical_or)
LOCKSTEP_BINARY_FUNCTION(logical_xor)
LOCKSTEP_UNARY_FUNCTION(logical_not)
LOCKSTEP_UNARY_FUNCTION(is_finite)

Tensor where(Operand condition, Operand a, Operand b) {
  static const OpDef& op = built_in("where");
  return invoke1(op, {condition, a, b});
}

}  // namespace lockstep
