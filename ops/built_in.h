// The built-in ops. ops.def is their only list.
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

// One function per line of ops.def. It makes the op's definition and is defined beside the op's public function.
namespace defs {
#define LOCKSTEP_OP(id, name) OpDef name();
#include "ops/ops.def"
#undef LOCKSTEP_OP
}  // namespace defs

/// The registered definition of the built-in op `name`, which must exist.
const OpDef& built_in(const char* name);

// Defines the public function of an op that takes inputs and nothing else.
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
