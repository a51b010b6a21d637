// One compiled loop per instruction. A pointwise program runs as a sequence of these loops.
#pragma once

#include <cstdint>
#include <string_view>

#include "lockstep/driver.h"

namespace cpu {

/// Applies an instruction to n elements. Operands are arrays, or single values if the loop was requested with that
/// operand uniform. `out` may be one of the operands if their elements have the same size.
using Loop = void (*)(void* out, const void* a, const void* b, const void* c, const void* d, std::int64_t n);

/// Which operands are single values.
struct Uniform {
  bool a = false, b = false, c = false, d = false;
};

/// The driver's own opcodes: a comparison fused with the select that is its only use. Operands: the two that are
/// compared, the value if true, the value if false; all of one width.
enum : std::uint32_t { choose_lt = 0x100, choose_le, choose_gt, choose_ge, choose_eq };

/// Identifies the loop of an instruction. `function` is set for calls.
struct LoopKey {
  std::uint32_t opcode = 0;
  lks_dtype type = 0;  // of the operands (of the second, for select)
  lks_dtype result = 0;
  Uniform uniform;  // never all operands: single values use a loop over one element
  std::string_view function = {};
  std::uint32_t version = 0;
};

/// Returns nullptr if there is no loop: the dtype has no arithmetic, or an operand must not be uniform.
Loop find_loop(const LoopKey& key);

/// A loop that copies an array, or repeats one value if `uniform`.
Loop copy_loop(lks_dtype type, bool uniform);

/// A loop that writes consecutive row-major indices, starting with *a.
Loop linear_loop();

// find_loop calls these.
Loop find_arithmetic_loop(const LoopKey& key);
Loop find_logic_loop(const LoopKey& key);
Loop find_choose_loop(const LoopKey& key);
Loop find_convert_loop(lks_dtype from, lks_dtype to);
Loop find_function_loop(const LoopKey& key);

/// Whether calls of a function have a loop of their own. Other calls are inlined.
bool knows_function(std::string_view name, std::uint32_t version, lks_dtype type);

}  // namespace cpu
