// Reductions over axes.
#pragma once

#include "lockstep/export.h"
#include "lockstep/ops/shape.h"

namespace LOCKSTEP_API lockstep {

struct Reduce {
  Ints axes = {};     // empty: all axes; a negative axis counts from the end
  bool keep = false;  // keep reduced axes, with extent 1
};

/// Sum over axes. It is 0 if there are no elements. Numeric dtypes (ops/math.h).
Tensor sum(Operand x, Reduce options = {});
/// Arithmetic mean over axes. Floating dtypes. The axes must have elements.
Tensor mean(Operand x, Reduce options = {});
/// Largest element over axes; NaN propagates. -0 is below +0. The axes must have elements. Elements that are equal to
/// the result share its gradient; if there are NaNs, they take it. Numeric dtypes.
Tensor max(Operand x, Reduce options = {});
/// Smallest element over axes; NaN propagates. The rest is as for max.
Tensor min(Operand x, Reduce options = {});

/// The sum of all elements up to each, along an axis. With `reverse`, of each and those behind it. Numeric dtypes.
Tensor cumsum(Operand x, std::int64_t axis = -1, bool reverse = false);

/// Position of the largest element along an axis, the first of several; NaN counts as largest. The result is i64.
/// Numeric dtypes.
Tensor argmax(Operand x, std::int64_t axis = -1);

}  // namespace lockstep
