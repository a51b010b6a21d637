// The family of pointwise ops.
#pragma once

#include "lockstep/op_def.h"

namespace lockstep {

/// The value that a tensor of `dtype` holds for a number.
long double number_as(const Scalar& number, DType dtype);

/// The oracle of a pointwise op: its program in long double, with each named function replaced by its own oracle.
void pointwise_reference(RefContext& context);

/// Standard conformance cases of a pointwise op: shapes, broadcasting, numbers as operands, refused dtypes.
std::vector<OpCase> pointwise_cases(const OpDef& op, const std::vector<CaseValues>& values);

/// A gradient rule in closed form, in terms of the input or of the output, as one fused op "<name>.grad".
struct UnaryGradient {
  enum class From : std::uint8_t { input, output };
  From from = From::input;
  Expr (*gradient)(Expr x_or_y, Expr dy) = nullptr;
};

/// A pointwise op of one input with a gradient rule in closed form.
OpDef unary_op(std::string name, Expr (*body)(Expr), UnaryGradient gradient, PointwiseOptions options);

}  // namespace lockstep
