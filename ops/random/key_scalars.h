// The key of random numbers is passed as launch-time scalars, so another key needs no other kernel.
#pragma once

#include <vector>

#include "lockstep/call_op.h"
#include "lockstep/ops/random.h"

namespace lockstep {

std::vector<ScalarDef> key_scalars();

void append_key(std::vector<Scalar>& scalars, RandomKey key);

/// The key whose four numbers start at `first`. Throws TraceError LS4101 if they are known only at launch.
RandomKey key_from(std::span<const Scalar> scalars, std::size_t first);

/// Adds the arguments from which a call by name takes its key: `seed` and `stream`, given together or not at all.
void add_key_arguments(OpDef& op);
/// Makes the call with the op's other numbers, and then that key, whose numbers may be known only at launch, or else
/// the thread's next key.
std::vector<Tensor> invoke_with_key(const CallByName& call, const void* attrs, std::vector<Scalar> numbers);

/// random_bits with the key in four numbers, which may be known only at launch.
Tensor bits_for_key(const Shape& shape, DType dtype, std::span<const Scalar> key, CallSite where);

/// For conformance cases: the op's own numbers, then a key that uses the low and the high half of both of its numbers.
std::vector<Scalar> case_scalars(std::vector<Scalar> own);

}  // namespace lockstep
