// Errors about a call: every operand described, the caller's line, the fix.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>

#include "lockstep/op_def.h"

namespace lockstep {

[[noreturn]] void raise_call_error(const OpCall& call, ErrorId id, std::string headline, std::string fix);

/// Name of input i in messages: the schema's, numbered where variadic.
std::string input_name(const OpDef& op, std::size_t i);

/// The schema's entry for operand i; variadic inputs share the last.
inline const InputDef& input_def(const OpDef& op, std::size_t i) {
  return op.inputs[std::min(i, op.inputs.size() - 1)];
}

std::string describe(const Operand& operand);

/// Numbers that a caller gives per dimension, as an attribute. Throws `id`, for `what`, for more than eight.
IntList attribute_list(const OpDef& op, std::initializer_list<Operand> operands, std::span<const std::int64_t> numbers,
                       std::string_view what, ErrorId id = ErrorId::axis_out_of_range);

}  // namespace lockstep
