#include "conformance/cases/ranks.h"

#include <algorithm>
#include <cstring>

#include "conformance/cases/extents.h"
#include "conformance/cases/inferred_outputs.h"
#include "ops/attribute_memory.h"

namespace lockstep::conformance {
namespace {

constexpr std::int64_t new_extent = 2;

bool names_axes(const AttrField& field) {
  if (field.storage == AttrField::Storage::text) return false;
  return field.name == "axis" || field.name == "axes";
}

bool has_axes(const OpDef& op) { return std::any_of(op.attrs.fields.begin(), op.attrs.fields.end(), &names_axes); }

// The attributes with `more` added to each axis.
std::vector<std::byte> with_later_axes(const OpDef& op, const OpCase& c, int more) {
  std::vector<std::byte> attrs = attribute_bytes(op, c);
  const auto add = [&](std::size_t at) {
    std::int64_t axis = 0;
    std::memcpy(&axis, attrs.data() + at, sizeof axis);
    axis += more;
    std::memcpy(attrs.data() + at, &axis, sizeof axis);
  };
  for (const AttrField& field : op.attrs.fields) {
    if (!names_axes(field)) continue;
    if (field.storage == AttrField::Storage::integer) add(field.offset);
    if (field.storage != AttrField::Storage::list) continue;
    const std::size_t count = length_at(field, attrs.data());
    for (std::size_t i = 0; i < count; ++i) {
      add(field.offset + offsetof(IntList, values) + i * sizeof(std::int64_t));
    }
  }
  return attrs;
}

Shape grown(const Shape& shape, int more, bool behind) {
  Shape out;
  for (int i = 0; !behind && i < more; ++i) out.append(new_extent);
  for (int d = 0; d < shape.rank(); ++d) out.append(shape[d]);
  for (int i = 0; behind && i < more; ++i) out.append(new_extent);
  return out;
}

}  // namespace

std::optional<OpCase> with_rank(const OpDef& op, const OpCase& c, int rank, bool in_front) {
  const int largest = largest_rank(c);
  if (c.error || largest < 1 || rank <= largest || rank > max_rank || (in_front && !has_axes(op))) return std::nullopt;
  const bool behind = has_axes(op) && !in_front;
  // Inputs of fewer dimensions, such as biases, may keep their shapes.
  for (const bool all : {true, false}) {
    OpCase out = c;
    out.name += "^" + std::to_string(rank) + (in_front ? ".front" : "");
    if (in_front) out.attrs = with_later_axes(op, c, rank - largest);
    bool holds_indices = false;
    for (CaseInput& in : out.inputs) {
      const bool grows = !in.absent && !in.scalar && in.shape.rank() > 0 && (all || in.shape.rank() == largest);
      if (!grows) continue;
      in.shape = grown(in.shape, rank - largest, behind);
      holds_indices = holds_indices || in.values.kind == CaseValues::Kind::indices;
    }
    // Indices would point into one of the new dimensions, or select more than the op's own case does.
    if (holds_indices && has_axes(op) && all && out.inputs.size() > 1) continue;
    if (infer_outputs(op, out)) return out;
  }
  return std::nullopt;
}

}  // namespace lockstep::conformance
