// The key of random numbers is passed as launch-time scalars, so another key needs no other kernel.
#pragma once

#include <vector>

#include "lockstep/op_def.h"
#include "lockstep/ops/random.h"

namespace lockstep {

std::vector<ScalarDef> key_scalars();

void append_key(std::vector<Scalar>& scalars, RandomKey key);

/// The key whose four numbers start at `first`. Throws TraceError LS4101 if they are known only at launch.
RandomKey key_from(std::span<const Scalar> scalars, std::size_t first);

/// random_bits with the key in four numbers, which may be known only at launch.
Tensor bits_for_key(const Shape& shape, DType dtype, std::span<const Scalar> key, const std::source_location& where);

/// For conformance cases: the op's own numbers, then a key that uses the low and the high half of both of its numbers.
std::vector<Scalar> case_scalars(std::vector<Scalar> own);

}  // namespace lockstep
