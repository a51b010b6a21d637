// What the ops and our drivers ask about the dtypes and instructions of programs.
#pragma once

#include <cstdint>

#include "lockstep/driver.h"

namespace lockstep {

/// Floats of 16 bits: programs convert them to f32 to compute.
constexpr bool is_half_width(lks_dtype t) { return t == LKS_F16 || t == LKS_BF16; }

/// Number of arguments of an instruction that is not a call. A call has as many as its function has inputs.
constexpr int arg_count_of(std::uint32_t opcode) {
  switch (opcode) {
    case LKS_INSTR_INPUT:
    case LKS_INSTR_SCALAR:
    case LKS_INSTR_CONST:
    case LKS_INSTR_INDEX:
    case LKS_INSTR_LINEAR: return 0;
    case LKS_INSTR_SQRT:
    case LKS_INSTR_NEG:
    case LKS_INSTR_ABS:
    case LKS_INSTR_CONVERT:
    case LKS_INSTR_BITCAST:
    case LKS_INSTR_NOT: return 1;
    case LKS_INSTR_SELECT: return 3;
    default: return 2;
  }
}

}  // namespace lockstep
