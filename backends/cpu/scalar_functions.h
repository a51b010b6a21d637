// The shared scalar functions, as C++ that vectorises: the same bits as their bodies give in core opcodes.
#pragma once

#include "ops/scalar/dialect_cpp.h"

namespace cpu {

#include "ops/scalar/erf.inc"
#include "ops/scalar/exp.inc"
#include "ops/scalar/halves.inc"
#include "ops/scalar/hyperbolic.inc"
#include "ops/scalar/log.inc"
#include "ops/scalar/minmax.inc"
#include "ops/scalar/normal.inc"
#include "ops/scalar/pow.inc"
#include "ops/scalar/root.inc"

}  // namespace cpu
