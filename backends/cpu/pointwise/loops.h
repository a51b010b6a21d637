// One loop per instruction: the machine code that a pointwise program is put together from.
#pragma once

#include <cstdint>
#include <string_view>

#include "lockstep/driver.h"

namespace cpu {

/// Applies an instruction to n elements. Operands are arrays, or single values where the loop was asked for with that
/// operand uniform. `out` may be one of the operands, if elements have the same size.
using Loop = void (*)(void* out, const void* a, const void* b, const void* c, const void* d, std::int64_t n);

/// Which operands are single values.
struct Uniform {
  bool a = false, b = false, c = false, d = false;
};

/// Opcodes of the driver's own: a comparison and the select that alone reads it, in one loop. Operands: the two that
/// are compared, the value if true, the value if false; all of one dtype.
enum : std::uint32_t { choose_lt = 0x100, choose_le, choose_gt, choose_ge, choose_eq };

/// An instruction as loops see it. Calls have `function` set.
struct LoopKey {
  std::uint32_t opcode = 0;
  lks_dtype type = 0;  // of the operands (of the second, for select)
  lks_dtype result = 0;
  Uniform uniform;  // not all operands: for those there are loops over one element, with none uniform
  std::string_view function = {};
  std::uint32_t version = 0;
};

/// nullptr where there is none: for a dtype without arithmetic, or where an operand must not be uniform.
Loop find_loop(const LoopKey& key);

/// Moves elements: array to array, or one value repeated.
Loop copy_loop(lks_dtype type, bool uniform);

/// Row-major indices from *a on.
Loop linear_loop();

// The parts of find_loop.
Loop find_arithmetic_loop(const LoopKey& key);
Loop find_logic_loop(const LoopKey& key);
Loop find_choose_loop(const LoopKey& key);
Loop find_convert_loop(lks_dtype from, lks_dtype to);
Loop find_function_loop(const LoopKey& key);

/// Whether calls of a function are run as such rather than through its body.
bool knows_function(std::string_view name, std::uint32_t version, lks_dtype type);

}  // namespace cpu
