// Finds which extents of a case may change, and which must change together. It asks the op's shape inference, so it
// works for any op.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// Dimensions of inputs and integer attributes that must be equal, and so change together.
struct ExtentGroup {
  struct Dimension {
    std::size_t input;
    int dim;
  };
  std::int64_t extent = 0;
  std::vector<Dimension> dims;
  std::vector<std::size_t> attributes;  // byte offsets in the attribute struct

  bool has(std::size_t input, int dim) const;
};

/// The groups of a case that can grow. The other dimensions are fixed, for example by attributes.
std::vector<ExtentGroup> extent_groups(const OpDef& op, const OpCase& c);

/// The case with other extents, one per group; nullopt if the op refuses it. Indices into a resized dimension stay in
/// range.
std::optional<OpCase> resized(const OpDef& op, const OpCase& c, const std::vector<ExtentGroup>& groups,
                              const std::vector<std::int64_t>& extents);

/// The case with these shapes of inputs or, for ops without tensor inputs, with this `shape` attribute; nullopt if the
/// case cannot have them.
std::optional<OpCase> with_shapes(const OpDef& op, const OpCase& c, const std::vector<Shape>& shapes);

/// The shapes that identify a resized case: of all inputs, or the `shape` attribute if there are no tensor inputs.
std::vector<Shape> shapes_of(const OpDef& op, const OpCase& c);

/// The byte offset of the list attribute `shape`; nullopt if the op has none.
std::optional<std::size_t> shape_list(const OpDef& op);

/// Whether a tensor among the inputs has no elements.
bool has_empty_input(const OpCase& c);

/// The largest rank among the inputs.
int largest_rank(const OpCase& c);

/// A copy of the case's attribute struct, or of the op's defaults if the case has none.
std::vector<std::byte> attribute_bytes(const OpDef& op, const OpCase& c);

/// The elements of the list attribute of that name, or the value of the integer attribute. Empty if the op has neither.
std::vector<std::int64_t> attribute_numbers(const OpDef& op, const OpCase& c, std::string_view name);

}  // namespace lockstep::conformance
