// Ops that reduce axes.
#pragma once

#include "lockstep/export.h"
#include "lockstep/ops/shape.h"

namespace LOCKSTEP_API lockstep {

struct Reduce {
  Ints axes = {};     // empty: all; negative ones count from the end
  bool keep = false;  // reduced axes stay, with extent 1
};

/// Sum over axes; 0 over none. numeric.
Tensor sum(Operand x, Reduce options = {});
/// Arithmetic mean; f32, f64.
Tensor mean(Operand x, Reduce options = {});
/// Largest and smallest element; NaN propagates, -0 is below +0. The axes must not be empty. Elements that share the
/// extreme share its gradient; where there is NaN, it goes to NaN. numeric.
Tensor max(Operand x, Reduce options = {});
Tensor min(Operand x, Reduce options = {});

/// Position of the largest element along an axis, the first of several; NaN counts as largest. i64. numeric.
Tensor argmax(Operand x, std::int64_t axis = -1);

}  // namespace lockstep
