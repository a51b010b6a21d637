// Matrix products.
#pragma once

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

struct Matmul {
  bool transpose_a = false;  // swap the last two dimensions of a; a view, nothing is copied
  bool transpose_b = false;
};

/// Matrix product over the last two dimensions: (…, m, k) times (…, k, n) gives (…, m, n). Leading dimensions
/// broadcast. Numeric dtypes. Throws ShapeError LS2003 if the inner dimensions differ, and LS2008 for a rank below 2.
Tensor matmul(Operand a, Operand b, Matmul options = {});

}  // namespace lockstep
