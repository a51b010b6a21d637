// Indices into tensors: iteration over elements by index, for reference functions, and inputs that hold indices.
#pragma once

#include <vector>

#include "lockstep/op_def.h"

namespace lockstep {

using Index = std::vector<std::int64_t>;

/// An input of i32 or i64 indices. `values` tells drivers which indices can occur.
inline InputDef input_of_indices(std::string name, std::string values) {
  InputDef input{std::move(name), types::index, 'I'};
  input.values = std::move(values);
  return input;
}

/// Refuses indices, the second input, into an axis without elements. If the result is empty, nobody reads them.
inline void require_places(const InferContext& c, Dim extent, const char* what) {
  const Shape& indices = c.shape(1);
  if (!(extent == Dim(0)) || !indices.is_known() || indices.is_empty()) return;
  c.fail(ErrorId::index_out_of_range,
         std::string(what) + " is 0, and indices of shape " + indices.to_string() + " are given",
         "give an extent above 0, or no indices");
}

/// Calls visit(index, row-major position) for every element.
template <class Visit>
void for_each_index(const Shape& shape, Visit&& visit) {
  Index index(static_cast<std::size_t>(shape.rank()), 0);
  const std::int64_t count = shape.size();
  for (std::int64_t n = 0; n < count; ++n) {
    visit(static_cast<const Index&>(index), n);
    for (int d = shape.rank() - 1; d >= 0; --d) {
      if (++index[static_cast<std::size_t>(d)] < shape[d]) break;
      index[static_cast<std::size_t>(d)] = 0;
    }
  }
}

inline std::size_t position_of(const Shape& shape, const Index& index) {
  std::int64_t position = 0;
  for (int d = 0; d < shape.rank(); ++d) position = position * shape[d] + index[static_cast<std::size_t>(d)];
  return static_cast<std::size_t>(position);
}

inline long double at(const RefArray& array, const Index& index) {
  return array.values[position_of(array.shape, index)];
}

/// The element that broadcasting puts at `index` of a larger shape.
inline long double at_broadcast(const RefArray& array, const Index& index) {
  std::int64_t position = 0;
  const std::size_t extra = index.size() - static_cast<std::size_t>(array.shape.rank());
  for (int d = 0; d < array.shape.rank(); ++d) {
    const std::int64_t extent = array.shape[d];
    position = position * extent + (extent == 1 ? 0 : index[extra + static_cast<std::size_t>(d)]);
  }
  return array.values[static_cast<std::size_t>(position)];
}

/// Throws unless all positions that a slice takes along dimension `d` lie inside `extent`.
inline void check_positions(const InferContext& c, int d, std::int64_t start, std::int64_t step, Dim count,
                            Dim extent) {
  if (!extent.is_known() || !count.is_known() || count.value() <= 0) return;
  if (step == 0 && count.value() > 1) {
    c.fail(ErrorId::invalid_attribute, "the step along axis " + std::to_string(d) + " is 0",
           "steps are positive, or negative to go backwards");
  }
  std::int64_t last = 0;
  const bool fits =
      !__builtin_mul_overflow(count.value() - 1, step, &last) && !__builtin_add_overflow(start, last, &last);
  if (fits && start >= 0 && start < extent.value() && last >= 0 && last < extent.value()) return;
  c.fail(
      ErrorId::index_out_of_range,
      (fits ? "positions " + std::to_string(start) + " to " + std::to_string(last)
            : count.to_string() + " positions from " + std::to_string(start) + " in steps of " + std::to_string(step)) +
          " of dimension " + std::to_string(d) + " lie outside its extent of " + extent.to_string(),
      "positions go from 0 to the extent - 1");
}

}  // namespace lockstep
