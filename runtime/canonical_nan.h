// Replaces NaNs by one NaN per dtype, for hashing and comparison: processors return NaNs with different signs and
// payloads.
#pragma once

#include <cstddef>
#include <span>

#include "lockstep/dtype.h"

namespace lockstep {

/// Replaces every NaN among elements of `dtype` by the quiet NaN without sign and payload: f32 0x7fc00000, f64
/// 0x7ff8000000000000, f16 0x7e00, bf16 0x7fc0. Elements of other dtypes do not change.
void make_nans_canonical(DType dtype, std::span<std::byte> elements);

}  // namespace lockstep
