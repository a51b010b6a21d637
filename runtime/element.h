// Access to single elements of any dtype in host memory.
#pragma once

#include <cstddef>
#include <string>

#include "lockstep/dtype.h"

namespace lockstep {

/// The element's value; exact for every dtype.
long double element_value(const std::byte* at, DType dtype);

/// The element's bits, such as "0x3f800000".
std::string element_bits(const std::byte* at, DType dtype);

/// The distance from |x| to the next larger number of the dtype (one ULP). 1 for integers.
long double unit_in_last_place(long double x, DType dtype);

/// Half the distance from 1 to the next number: the largest relative error of rounding to nearest. 0 for integers.
long double unit_roundoff(DType dtype);

}  // namespace lockstep
