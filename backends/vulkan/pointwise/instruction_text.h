// Single instructions of pointwise programs as GLSL expressions.
#pragma once

#include <string>
#include <vector>

#include "lockstep/driver.h"

namespace vulkan {

/// The type of a value: f16 and bf16 are their bits in a uint, i8 and u8 an int and a uint within their range.
const char* glsl_type(lks_dtype t);

/// A value of `t` from a uint64_t that holds its bits.
std::string glsl_of_bits(lks_dtype t, const std::string& bits);

/// Instruction i as an expression in v0, v1 …, the values of those before it. Not of inputs and scalars.
std::string instruction_text(const std::vector<lks_instr>& instrs, std::size_t i);

}  // namespace vulkan
