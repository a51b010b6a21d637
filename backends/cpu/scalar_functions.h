// The shared scalar functions, as C++ that vectorises: the same bits as their bodies give in core opcodes.
#pragma once

#include "ops/scalar/dialect_cpp.h"

namespace cpu {

#include "ops/scalar/all.inc"

}  // namespace cpu
