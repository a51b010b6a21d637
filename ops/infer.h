// Checks that come before an op's own inference: number of inputs, dtypes, devices; and the rule of broadcasting.
#pragma once

#include "lockstep/op_def.h"

namespace lockstep {

/// Throws ShapeError LS2011 unless the number of inputs fits the schema.
void check_input_count(const OpCall& call);

/// The dtype that the inputs of group T share: that of its tensors; numbers alone give f32, i32 or bool. Throws
/// DTypeError LS2101 where tensors of a group differ and LS2102 where the op does not take the dtype.
DType check_dtypes(const OpCall& call);

/// The shape of broadcast operands: NumPy's rule, but for one guard: operands of different rank may not both be
/// expanded (ShapeError LS2002), since (N,) with (N, 1) is nearly always a mistake.
Shape broadcast_shape(const OpCall& call);

/// Throws ShapeError LS2007 where the number is an integer that the dtype cannot hold.
void check_number(const OpCall& call, const Scalar& number, DType dtype);

/// What two shapes broadcast to by NumPy's rule; nullopt where they do not.
std::optional<Shape> try_broadcast(const Shape& a, const Shape& b);

}  // namespace lockstep
