// Compares two tensors of the same dtype and shape, element by element.
#pragma once

#include <vector>

#include "lockstep/compare.h"
#include "nn/compare/oracle.h"

namespace lockstep {

/// Copies a tensor's elements to the host, in row-major order, with canonical NaNs.
std::vector<std::byte> host_bytes(const TensorImpl& tensor);

struct Difference {
  std::int64_t elements = 0, differing = 0;
  double ulp = 0;         // the largest difference, in ULPs of the larger element
  std::size_t worst = 0;  // its position
  double relative = 0;    // the largest difference divided by the largest magnitude
};

/// Finds the elements whose bits differ, and by how much.
Difference difference_of(DType dtype, const std::vector<std::byte>& first, const std::vector<std::byte>& second);

/// Distance of two elements in ULPs of the larger one; infinite if they differ and one of them is not finite.
double ulp_between(long double a, long double b, DType dtype);

/// The element at `position`, with both values and their bits.
DivergingElement element_at(const TensorImpl& shape_of, const std::vector<std::byte>& first,
                            const std::vector<std::byte>& second, std::size_t position);

}  // namespace lockstep
