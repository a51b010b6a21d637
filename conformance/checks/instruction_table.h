// The instructions of pointwise programs, each with every dtype that a driver must know it in; and what they give,
// computed here apart from the rest of Lockstep.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lockstep/driver.h"

namespace lockstep::conformance {

struct Instruction {
  const char* name;  // "add", "convert"
  std::uint32_t opcode;
  lks_dtype from;  // of its operands; of select, those that it chooses from
  lks_dtype to;    // of its result
};

/// Up to four that one program can do: the same operands.
struct InstructionGroup {
  std::string name;  // "add.sub.mul.div.u32", "convert.f32-i8.u8.i32.i64"
  std::vector<Instruction> instructions;
  bool rounds = false;  // floating arithmetic, which fast mode may do less exactly

  lks_dtype from() const { return instructions.front().from; }
};

/// All that docs/adding_a_driver.md promises.
const std::vector<InstructionGroup>& instruction_groups();

/// "f32", "u64".
const char* name_of_lks(lks_dtype t);

/// The bits of the result in `to` for the bits of operands in `from`; `condition` is that of select.
std::uint64_t result_of(const Instruction& instruction, std::uint64_t a, std::uint64_t b, bool condition);

/// Whether the bits are a NaN of that dtype.
bool is_nan(std::uint64_t bits, lks_dtype t);

/// Operands at which instructions differ: ends, borders of the other dtypes, zeros of both signs, NaN, and random bits.
std::vector<std::uint64_t> operand_bits(lks_dtype t, std::uint64_t seed);

}  // namespace lockstep::conformance
