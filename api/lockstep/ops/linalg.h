// Products of matrices.
#pragma once

#include "lockstep/export.h"
#include "lockstep/tensor.h"

namespace LOCKSTEP_API lockstep {

struct Matmul {
  bool transpose_a = false;  // use a's last two dimensions exchanged; a view, nothing is copied
  bool transpose_b = false;
};

/// (…, m, k) times (…, k, n) gives (…, m, n); leading dimensions broadcast. numeric. Throws ShapeError LS2003 where the
/// inner dimensions differ and LS2008 below rank 2.
Tensor matmul(Operand a, Operand b, Matmul options = {});

}  // namespace lockstep
