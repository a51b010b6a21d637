// The lines of an operand: the elements that an op chooses from, or sums, for one element of its result.
#pragma once

#include <cstdint>
#include <vector>

#include "conformance/cases/test_case.h"

namespace lockstep::conformance {

/// For each dimension of an operand of that shape, whether the op's lines run along it.
std::vector<bool> line_dimensions(const TestCase& t, const Shape& shape);

/// Elements in a line.
std::int64_t line_length(const TestCase& t, const Shape& shape);

/// Places in a line of n at which a driver may go wrong: last, first, and around every power of two.
std::vector<std::int64_t> places_in(std::int64_t n);

/// Calls visit(element, number of its line, its place in the line) for all elements, in row-major order.
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
