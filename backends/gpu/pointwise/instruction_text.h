// Single instructions of pointwise programs as expressions.
#pragma once

#include <string>
#include <vector>

#include "backends/gpu/pointwise/dialect.h"

namespace gpu {

/// The type of a value. f16 and bf16 are held as their bits in a uint, i8 and u8 as an int and a uint within their
/// range.
const char* type_name(lks_dtype t);

/// An expression for the value of type `t` whose bits are in the uint64_t expression `bits`.
std::string value_of_bits(lks_dtype t, const std::string& bits);

/// Instruction i as an expression in v0, v1 …, the values of the instructions before it. Not for inputs and scalars.
std::string instruction_text(const Dialect& dialect, const std::vector<lks_instr>& instrs, std::size_t i);

}  // namespace gpu
