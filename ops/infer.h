// The checks before an op's own inference, the inference itself, and the broadcasting rule.
#pragma once

#include <algorithm>

#include "ops/call_error.h"
#include "ops/call_types.h"
#include "runtime/tensor_impl.h"

namespace lockstep {

/// Throws ShapeError LS2011 unless the number of inputs fits the schema, and ShapeError LS2007 unless attributes and
/// numbers are given and lists have at most eight numbers.
void check_call(const OpCall& call);

/// The number of outputs of a call. For an op with a variable number, the call is checked first, and a number that no
/// call may have throws ShapeError LS2007.
std::size_t output_count(const OpCall& call);

/// The dtype that an attribute of the call names. Throws DTypeError LS2104 if there is none.
DType dtype_from_attribute(const OpCall& call, std::int64_t number);

/// Infers the output specs of a call that needs no rewriting, and sets the result's dtype in `types`. Errors from
/// arithmetic on extents name the call. Results whose size in bytes overflows 63 bits are refused (see check_results).
void infer_specs(const OpCall& call, CallTypes& types, std::span<TensorSpec> specs);

/// The same without that check, for callers that check sizes themselves.
void infer_unchecked_specs(const OpCall& call, CallTypes& types, std::span<TensorSpec> specs);

/// Refuses results whose size in bytes overflows 63 bits (see check_countable), before anything computes with it.
void check_results(const OpCall& call, std::span<const TensorSpec> specs);

/// Kernels multiply the extents of their operands, even if an operand has no elements. Throws ShapeError LS2005 if the
/// product overflows.
inline void check_operand_size(const OpCall& call, const TensorImpl& operand) {
  if (is_countable(operand.dtype, operand.shape)) return;
  raise_call_error(call, ErrorId::invalid_shape,
                   "the extents of " + operand.shape.to_string() + " besides 0 are more than 64 bits count",
                   "check the shape of the empty operand");
}

/// Whether no result has an element. Then no kernel runs.
inline bool all_empty(std::span<const TensorSpec> specs) {
  return std::all_of(specs.begin(), specs.end(), [](const TensorSpec& s) { return s.shape.is_empty(); });
}

/// The shape to which the operands broadcast. The rule is NumPy's with one exception: operands of different rank must
/// not both be expanded (ShapeError LS2002), because (N,) with (N, 1) is nearly always a mistake.
Shape broadcast_shape(const OpCall& call);

/// The shape to which two shapes broadcast by NumPy's rule, or nullopt.
std::optional<Shape> try_broadcast(const Shape& a, const Shape& b);
/// Whether `from` may broadcast to `to`, by the same rule.
bool broadcasts_to(const Shape& from, const Shape& to);

}  // namespace lockstep
