// The ops of ops.def: the only list of built-in ops.
#pragma once

#include <cstdint>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep {

struct BuiltInOp {
  std::uint32_t id;
  OpDef (*make)();
};

std::vector<BuiltInOp>& built_in_ops();

// One maker per line of ops.def, defined beside the op's public function.
namespace defs {
#define LOCKSTEP_OP(id, name) OpDef name();
#include "ops/ops.def"
#undef LOCKSTEP_OP
}  // namespace defs

/// The registered definition of a built-in op; `name` must be one.
const OpDef& built_in(const char* name);

// The public function of an op whose inputs are all it takes.
#define LOCKSTEP_UNARY_FUNCTION(name)         \
  Tensor name(Operand x) {                    \
    static const OpDef& op = built_in(#name); \
    return invoke1(op, {x});                  \
  }
#define LOCKSTEP_BINARY_FUNCTION(name)        \
  Tensor name(Operand a, Operand b) {         \
    static const OpDef& op = built_in(#name); \
    return invoke1(op, {a, b});               \
  }

}  // namespace lockstep
