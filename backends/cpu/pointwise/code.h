// A pointwise program lowered to loops. Calls without a loop of their own are inlined, conversions that change nothing
// and bit casts are removed, half-width floats are promoted before they are compared, and comparisons are fused with
// their selects.
#pragma once

#include <string>
#include <vector>

#include "backends/common/program.h"
#include "backends/cpu/pointwise/loops.h"

namespace cpu {

/// An instruction on one element. Op i defines value i.
struct Op {
  std::uint32_t opcode = 0;
  lks_dtype type = 0;  // of the operands (see LoopKey)
  lks_dtype result = 0;
  int arg_count = 0;
  std::uint32_t args[4] = {};
  std::uint64_t imm = 0;
  std::uint32_t function = 0;  // of a call: index into Code::functions

  bool is_leaf() const { return arg_count == 0; }
};

struct Function {
  std::string name;
  std::uint32_t version;
};

struct Code {
  std::vector<Op> ops;
  std::vector<std::uint32_t> outputs;
  std::vector<Function> functions;

  LoopKey key(const Op& op, const Uniform& uniform) const;
};

Code make_code(const lks_program& program);

/// The first op that has no loop; nullptr if every op has one.
const Op* first_without_loop(const Code& code);

}  // namespace cpu
