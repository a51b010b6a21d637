// Single elements in host memory, whatever their dtype.
#pragma once

#include <cstddef>
#include <string>

#include "lockstep/dtype.h"

namespace lockstep {

/// Its value; exact for every dtype.
long double element_value(const std::byte* at, DType dtype);

/// Its bits, such as "0x3f800000".
std::string element_bits(const std::byte* at, DType dtype);

/// The distance to the next larger number of the dtype from |x|: one unit in the last place. 1 for integers.
long double unit_in_last_place(long double x, DType dtype);

/// Half the distance from 1 to the next number: what rounding to nearest may cost, relatively. 0 for integers.
long double unit_roundoff(DType dtype);

}  // namespace lockstep
