// The shared scalar functions as C++ that the compiler vectorises. They give the same bits as the bodies, in core
// opcodes, that programs carry.
#pragma once

#include "ops/scalar/dialect_cpp.h"

namespace cpu {

#include "ops/scalar/all.inc"

}  // namespace cpu
