// Checks that come before an op's own inference, inference itself, and the rule of broadcasting.
#pragma once

#include "ops/call_types.h"

namespace lockstep {

/// Throws ShapeError LS2011 unless the number of inputs fits the schema, LS2007 unless attributes and numbers are there
/// and lists have at most eight numbers.
void check_call(const OpCall& call);

/// The dtype that an attribute of the call names; throws DTypeError LS2104.
DType dtype_named(const OpCall& call, std::int64_t number);

/// Fills in the output specs of a call that needs no rewriting, and the result's dtype in `types`. Errors of arithmetic
/// on extents name the call. Results that 63 bits do not count are refused (see check_results).
void infer_specs(const OpCall& call, CallTypes& types, std::span<Spec> specs);

/// The same without that check: for a caller that looks at sizes itself.
void infer_unchecked_specs(const OpCall& call, CallTypes& types, std::span<Spec> specs);

/// Refuses results that 63 bits do not count (see check_countable), before any rule, host or device counts with them.
void check_results(const OpCall& call, std::span<const Spec> specs);

/// The shape of broadcast operands: NumPy's rule, but for one guard: operands of different rank may not both be
/// expanded (ShapeError LS2002), since (N,) with (N, 1) is nearly always a mistake.
Shape broadcast_shape(const OpCall& call);

/// What two shapes broadcast to by NumPy's rule; nullopt where they do not.
std::optional<Shape> try_broadcast(const Shape& a, const Shape& b);

}  // namespace lockstep
