// Differentiates pointwise programs, so that a pointwise op has gradients of every order without a rule.
#pragma once

#include <optional>

#include "lockstep/op_def.h"

namespace lockstep {

/// Records `upstream` times d `result` / d `source` in the same program, by the chain rule. Returns nullopt if it is
/// zero everywhere. Upstream enters first: upstream / x can be finite where 1 / x is not, and a select drops what it
/// does not choose, where infinity times 0 would be NaN.
std::optional<Expr> derivative(Expr result, Expr source, Expr upstream);

/// The pointwise op that computes the gradient of input `wanted`, in the shape of the output, from the inputs in `used`
/// and the upstream gradients of every output. Made once per op and input. It is differentiable itself.
struct GradientOp {
  const OpDef* op = nullptr;
  std::vector<std::size_t> used;  // inputs of the original op that the derivative reads
};
const GradientOp& gradient_op(const OpDef& op, std::size_t wanted);

/// On registration: gives a pointwise op without a gradient rule one by gradient_op, and declares what it saves.
void complete_pointwise(OpDef& op);

}  // namespace lockstep
