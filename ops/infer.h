// Checks that come before an op's own inference, inference itself, and the rule of broadcasting.
#pragma once

#include "ops/call_types.h"

namespace lockstep {

/// Throws ShapeError LS2011 unless the number of inputs fits the schema.
void check_input_count(const OpCall& call);

/// Fills in the output specs of a call that needs no rewriting, and the result's dtype in `types`. Errors of arithmetic
/// on extents name the call.
void infer_specs(const OpCall& call, CallTypes& types, std::span<Spec> specs);

/// The shape of broadcast operands: NumPy's rule, but for one guard: operands of different rank may not both be
/// expanded (ShapeError LS2002), since (N,) with (N, 1) is nearly always a mistake.
Shape broadcast_shape(const OpCall& call);

/// What two shapes broadcast to by NumPy's rule; nullopt where they do not.
std::optional<Shape> try_broadcast(const Shape& a, const Shape& b);

}  // namespace lockstep
