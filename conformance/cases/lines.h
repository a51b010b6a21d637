// The lines of an operand: the elements from which an op computes one element of its result, by choosing or summing.
#pragma once

#include <cstdint>
#include <vector>

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// For each dimension of an operand of that shape, whether the op's lines run along it.
std::vector<bool> line_dimensions(const TestCase& t, const Shape& shape);

/// The number of elements in a line.
std::int64_t line_length(const TestCase& t, const Shape& shape);

/// Positions in a line of n elements at which a driver is likely to be wrong: the last, the first, and around every
/// power of two up to 2^16.
std::vector<std::int64_t> places_in(std::int64_t n);

/// Calls visit(element, line number, position in the line) for all elements, in row-major order.
template <class Visit>
void for_each_in_lines(const TestCase& t, RefArray& array, Visit&& visit) {
  const std::vector<bool> along = line_dimensions(t, array.shape);
  std::vector<std::int64_t> index(along.size(), 0);
  for (long double& v : array.values) {
    std::int64_t line = 0, at = 0;
    for (std::size_t d = 0; d < along.size(); ++d) {
      const std::int64_t extent = array.shape[static_cast<int>(d)];
      (along[d] ? at : line) = (along[d] ? at : line) * extent + index[d];
    }
    visit(v, line, at);
    for (std::size_t d = index.size(); d-- > 0;) {
      if (++index[d] < array.shape[static_cast<int>(d)]) break;
      index[d] = 0;
    }
  }
}

}  // namespace lockstep::conformance
