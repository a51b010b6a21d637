// The instructions of pointwise programs, with every dtype in which a driver must support them, and their expected
// results, computed here independently of the rest of Lockstep.
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
  lks_dtype from;  // of its operands; for select, of the two that it chooses from
  lks_dtype to;    // of its result
};

/// Up to four instructions on the same operands, for one program.
struct InstructionGroup {
  std::string name;  // "add.sub.mul.div.u32", "convert.f32-i8.u8.i32.i64"
  std::vector<Instruction> instructions;
  bool rounds = false;  // floating arithmetic, which may be less accurate in fast mode

  lks_dtype from() const { return instructions.front().from; }
};

/// All instructions that docs/adding_a_driver.md lists.
const std::vector<InstructionGroup>& instruction_groups();

/// Such as "f32" or "u64".
const char* name_of_lks(lks_dtype t);

/// The bits of the result in dtype `to`, for operands whose bits are in dtype `from`. `condition` is the condition of
/// select.
std::uint64_t result_of(const Instruction& instruction, std::uint64_t a, std::uint64_t b, bool condition);

/// Whether the bits are a NaN of that dtype.
bool is_nan(std::uint64_t bits, lks_dtype t);

/// Operands at which instructions may go wrong: limits of this dtype and of the others, zeros of both signs, NaN, and
/// random bits.
std::vector<std::uint64_t> operand_bits(lks_dtype t, std::uint64_t seed);

}  // namespace lockstep::conformance
