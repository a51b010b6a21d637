// How a built-in op is defined and found.
#pragma once

#include <cstdint>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep {

struct BuiltInOp {
  std::uint32_t id;
  OpDef (*make)();
};

// All built-in ops, in the order of their ids.
const std::vector<BuiltInOp>& built_in_ops();

// Defines a built-in op: the body of a function that returns its OpDef follows. The op's public function stands beside
// it. Ids are part of the driver ABI and are never reused; id 1 is the pointwise program. The ids in use are in
// definitions.golden.txt. The build collects these lines (cmake/list_built_in_ops.cmake), so that nothing else names
// the op.
#define LOCKSTEP_BUILT_IN(id, name) \
  OpDef name();                     \
  OpDef name()

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
