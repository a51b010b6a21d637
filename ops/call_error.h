// Errors about a call. They describe every operand, name the caller's line and suggest a fix.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>

#include "lockstep/error.h"
#include "lockstep/op_def.h"

namespace lockstep {

[[noreturn]] void raise_call_error(const OpCall& call, ErrorId id, std::string headline, std::string fix);

/// The name of input i in messages: the schema's name, with a number if the input is variadic.
std::string input_name(const OpDef& op, std::size_t i);

/// The same for output o.
std::string output_name(const OpDef& op, std::size_t o);

/// The schema's entry for operand i. All variadic inputs share the last entry.
inline const InputDef& input_def(const OpDef& op, std::size_t i) {
  return op.inputs[std::min(i, op.inputs.size() - 1)];
}

std::string describe(const Operand& operand);

/// The caller's line: `where` if it is given, else that of the first input.
inline CallSite location_of(std::span<const Operand> inputs, const CallSite* where) {
  return where ? *where : inputs.empty() ? CallSite() : inputs[0].where();
}

[[noreturn]] void refuse_unknown(const OpCall& call, const Scalar& number);

/// For calls on tensors with elements. Throws TraceError LS4101 if the number is known only at launch.
inline void check_known(const OpCall& call, const Scalar& number) {
  if (!number.is_known()) [[unlikely]]
    refuse_unknown(call, number);
}

/// Throws `id`, about `what`, if there are more numbers than a tensor can have axes.
void check_one_per_axis(const OpCall& call, std::span<const std::int64_t> numbers, std::string_view what, ErrorId id);

/// Makes a list attribute from numbers that the caller gives per dimension. Throws `id`, about `what`, for more than
/// eight.
IntList attribute_list(const OpCall& call, std::span<const std::int64_t> numbers, std::string_view what, ErrorId id);
IntList attribute_list(const OpDef& op, std::initializer_list<Operand> operands, std::span<const std::int64_t> numbers,
                       std::string_view what, ErrorId id = ErrorId::axis_out_of_range);

/// For public functions that compute extents. Arithmetic on extents does not know the op: names it, x and the caller's
/// line in the errors of `compute`.
template <class Compute>
auto extents_for(const char* op, const Operand& x, Compute&& compute) {
  try {
    return compute();
  } catch (const ShapeError& e) {
    if (e.op() != "shape") throw;
    ErrorBuilder(e.id(), op, e.headline())
        .line("x", describe(x))
        .at(x.where())
        .fix("check the extents: their product is the number of elements")
        .raise();
  }
}

}  // namespace lockstep
