// Access to single elements of any dtype in host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "lockstep/call_site.h"
#include "lockstep/dtype.h"
#include "lockstep/shape.h"

namespace lockstep {

/// The element's value; exact for every dtype.
long double element_value(const std::byte* at, DType dtype);

/// The element's bits, such as "0x3f800000".
std::string element_bits(const std::byte* at, DType dtype);

/// Whether each of `count` booleans, `stride` bytes apart, is 0 or 1. Kernels require it.
bool are_booleans(const std::byte* first, std::int64_t count, std::int64_t stride = 1);

/// Throws StateError LS1010 for `op` if the dtype is boolean and the dense elements are not all 0 or 1.
void check_booleans(const void* elements, const TensorSpec& spec, const char* op, CallSite where);

/// The distance from |x| to the next larger number of the dtype (one ULP). 1 for integers.
long double unit_in_last_place(long double x, DType dtype);

/// Half the distance from 1 to the next number: the largest relative error of rounding to nearest. 0 for integers.
long double unit_roundoff(DType dtype);

}  // namespace lockstep
