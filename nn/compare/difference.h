// Two tensors of one dtype and shape, element by element.
#pragma once

#include <vector>

#include "lockstep/compare.h"
#include "nn/compare/oracle.h"

namespace lockstep {

/// A tensor's elements on the host, row-major, with canonical NaNs.
std::vector<std::byte> host_bytes(const TensorImpl& tensor);

struct Difference {
  std::int64_t elements = 0, differing = 0;
  double ulp = 0;         // the largest, in units in the last place of the larger
  std::size_t worst = 0;  // where it is
  double relative = 0;    // the largest difference over the largest magnitude
};

/// Which elements have other bits, and by how much.
Difference difference_of(DType dtype, const std::vector<std::byte>& first, const std::vector<std::byte>& second);

/// How far apart two elements are, in units in the last place of the larger; infinite where only one is a number.
double ulp_between(long double a, long double b, DType dtype);

/// The element at `position` with its values and bits, and what the oracle says of it.
DivergingElement element_at(const TensorImpl& shape_of, const std::vector<std::byte>& first,
                            const std::vector<std::byte>& second, std::size_t position);

}  // namespace lockstep
