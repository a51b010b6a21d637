// One NaN per dtype, for hashing and comparing: processors differ in sign and payload of the NaN that an operation
// gives.
#pragma once

#include <cstddef>
#include <span>

#include "lockstep/dtype.h"

namespace lockstep {

/// Replaces every NaN among elements of `dtype` by the quiet one without sign and payload: f32 0x7fc00000, f64
/// 0x7ff8000000000000, f16 0x7e00, bf16 0x7fc0. Elements of other dtypes stay as they are.
void make_nans_canonical(DType dtype, std::span<std::byte> elements);

}  // namespace lockstep
