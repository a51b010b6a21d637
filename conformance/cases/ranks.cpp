#include "conformance/cases/ranks.h"

#include <algorithm>

#include "conformance/cases/extents.h"

namespace lockstep::conformance {
namespace {

constexpr std::int64_t new_extent = 2;

bool has_axes(const OpDef& op) {
  return std::any_of(op.attrs.fields.begin(), op.attrs.fields.end(),
                     [](const AttrField& field) { return field.name == "axis" || field.name == "axes"; });
}

Shape grown(const Shape& shape, int more, bool behind) {
  Shape out;
  for (int i = 0; !behind && i < more; ++i) out.append(new_extent);
  for (int d = 0; d < shape.rank(); ++d) out.append(shape[d]);
  for (int i = 0; behind && i < more; ++i) out.append(new_extent);
  return out;
}

}  // namespace

std::optional<OpCase> with_rank(const OpDef& op, const OpCase& c, int rank) {
  const int largest = largest_rank(c);
  if (c.error || largest < 1 || rank <= largest || rank > max_rank) return std::nullopt;
  const bool behind = has_axes(op);
  // Inputs of fewer dimensions, such as biases, may keep their shapes.
  for (const bool all : {true, false}) {
    OpCase out = c;
    out.name += "^" + std::to_string(rank);
    bool holds_indices = false;
    for (CaseInput& in : out.inputs) {
      const bool grows = !in.absent && !in.scalar && in.shape.rank() > 0 && (all || in.shape.rank() == largest);
      if (!grows) continue;
      in.shape = grown(in.shape, rank - largest, behind);
      holds_indices = holds_indices || in.values.kind == CaseValues::Kind::indices;
    }
    // Indices would point into one of the new dimensions.
    if (holds_indices && behind && all && out.inputs.size() > 1) continue;
    if (infer_outputs(op, out)) return out;
  }
  return std::nullopt;
}

}  // namespace lockstep::conformance
