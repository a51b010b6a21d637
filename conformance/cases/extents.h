// Which extents of a case may change, and which of them only together. Found by asking the op's shape inference, so
// that it holds for ops that nobody here knows.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// Dimensions of inputs, and integers among the attributes, that are one number.
struct ExtentGroup {
  struct Dimension {
    std::size_t input;
    int dim;
  };
  std::int64_t extent = 0;
  std::vector<Dimension> dims;
  std::vector<std::size_t> attributes;  // byte offsets in the attribute struct
};

/// The output specs of a call, or nullopt where the op refuses it.
std::optional<std::vector<Spec>> infer_outputs(const OpDef& op, const OpCase& c);

/// The groups of a case that can grow. Other dimensions are fixed by attributes.
std::vector<ExtentGroup> extent_groups(const OpDef& op, const OpCase& c);

/// The case with other extents, one per group; nullopt where the op refuses it. Indices into a dimension keep pointing
/// inside.
std::optional<OpCase> resized(const OpDef& op, const OpCase& c, const std::vector<ExtentGroup>& groups,
                              const std::vector<std::int64_t>& extents);

/// The case with these shapes of inputs and, for ops without tensor inputs, this `shape` attribute; nullopt where it
/// cannot have them.
std::optional<OpCase> with_shapes(const OpDef& op, const OpCase& c, const std::vector<Shape>& shapes);

/// The shapes that tell a resized case from its original: of all inputs, or of the attribute where there is none.
std::vector<Shape> shapes_of(const OpDef& op, const OpCase& c);

/// Whether a tensor among the inputs has no elements.
bool has_empty_input(const OpCase& c);

/// The rank of the input with most dimensions.
int largest_rank(const OpCase& c);

/// A copy of the case's attribute struct: its own, else the op's defaults.
std::vector<std::byte> attribute_bytes(const OpDef& op, const OpCase& c);

}  // namespace lockstep::conformance
