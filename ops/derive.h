// Differentiates pointwise programs, so that a pointwise op has gradients of every order without a rule.
#pragma once

#include <optional>

#include "lockstep/op_def.h"

namespace lockstep {

/// `upstream` times d result / d value `source`, recorded in the same program by the chain rule; nullopt where it is
/// zero throughout. The upstream number goes in first: upstream / x is finite where 1 / x is not, and what a select
/// leaves out stays out, where infinity times 0 would be NaN.
std::optional<Expr> derivative(Expr result, Expr source, Expr upstream);

/// The pointwise op that takes (the inputs in `used`, upstream gradients of every output) to the gradient of input
/// `wanted`, at the shape of the output. Made once per op and input, and itself differentiable.
struct DerivedOp {
  const OpDef* op = nullptr;
  std::vector<std::size_t> used;  // inputs of the original op that the derivative reads
};
const DerivedOp& derived_op(const OpDef& op, std::size_t wanted);

/// Gives a pointwise op without a rule the one by derived_op, and declares what it saves. On registration.
void complete_pointwise(OpDef& op);

}  // namespace lockstep
