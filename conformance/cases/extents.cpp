#include "conformance/cases/extents.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "conformance/cases/inferred_outputs.h"
#include "ops/attribute_memory.h"

namespace lockstep::conformance {
namespace {

std::int64_t read_slot(const std::vector<std::byte>& attrs, std::size_t at) {
  std::int64_t value = 0;
  std::memcpy(&value, attrs.data() + at, sizeof value);
  return value;
}

void write_slot(std::vector<std::byte>& attrs, std::size_t at, std::int64_t value) {
  std::memcpy(attrs.data() + at, &value, sizeof value);
}

// Byte offsets of integer attributes that may be extents.
std::vector<std::size_t> extent_slots(const OpDef& op, const std::vector<std::byte>& attrs) {
  std::vector<std::size_t> slots;
  for (const AttrField& field : op.attrs.fields) {
    if (field.storage == AttrField::Storage::integer) slots.push_back(field.offset);
    if (field.storage != AttrField::Storage::list) continue;
    const std::int64_t count = read_slot(attrs, field.offset);
    for (std::int64_t i = 0; i < count; ++i) {
      slots.push_back(field.offset + offsetof(IntList, values) + static_cast<std::size_t>(i) * sizeof(std::int64_t));
    }
  }
  return slots;
}

// The byte offset of the list attribute `shape`, if the op has one and the case has no tensor inputs.
std::optional<std::size_t> shape_attribute(const OpDef& op, const OpCase& c) {
  const bool has_tensor =
      std::any_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& in) { return !in.absent && !in.scalar; });
  return has_tensor ? std::nullopt : shape_list(op);
}

OpCase with_extent(OpCase c, const OpDef& op, const ExtentGroup& group, std::int64_t extent) {
  for (const ExtentGroup::Dimension& d : group.dims) c.inputs[d.input].shape.set_dim(d.dim, extent);
  if (!group.attributes.empty()) {
    c.attrs = attribute_bytes(op, c);
    for (std::size_t at : group.attributes) write_slot(c.attrs, at, extent);
  }
  return c;
}

bool grows(const OpDef& op, const OpCase& c, const ExtentGroup& group) {
  for (std::int64_t more : {1, 2, 5}) {
    const OpCase larger = with_extent(c, op, group, group.extent + more);
    const auto outputs = infer_outputs(op, larger);
    if (!outputs) return false;
  }
  return true;
}

// The smallest set of dimensions and attributes of the same extent that can change together with dimension `first`.
std::optional<ExtentGroup> grow_with(const OpDef& op, const OpCase& c, ExtentGroup::Dimension first,
                                     const std::vector<ExtentGroup::Dimension>& others,
                                     const std::vector<std::size_t>& slots) {
  const std::int64_t extent = c.inputs[first.input].shape[first.dim];
  std::vector<std::vector<ExtentGroup::Dimension>> dims = {{first}};
  for (const auto& other : others) dims.push_back({first, other});
  if (others.size() > 1) {
    dims.push_back({first});
    dims.back().insert(dims.back().end(), others.begin(), others.end());
  }
  std::vector<std::vector<std::size_t>> attributes = {{}};
  for (std::size_t slot : slots) attributes.push_back({slot});
  if (slots.size() > 1) attributes.push_back(slots);
  for (const auto& a : attributes) {
    for (const auto& d : dims) {
      ExtentGroup group{extent, d, a};
      if (grows(op, c, group)) return group;
    }
  }
  return std::nullopt;
}

// Dimensions of this extent, except `but`, that are in no group yet.
std::vector<ExtentGroup::Dimension> free_dimensions(const OpCase& c, const std::vector<ExtentGroup>& groups,
                                                    std::int64_t extent, ExtentGroup::Dimension but) {
  std::vector<ExtentGroup::Dimension> free;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].absent || c.inputs[i].scalar) continue;
    for (int d = 0; d < c.inputs[i].shape.rank(); ++d) {
      if (c.inputs[i].shape[d] != extent || (i == but.input && d == but.dim)) continue;
      const bool taken = std::any_of(groups.begin(), groups.end(), [&](const ExtentGroup& g) { return g.has(i, d); });
      if (!taken) free.push_back({i, d});
    }
  }
  return free;
}

// Indices that covered a whole dimension cover its new extent. If several dimensions had that extent, the smallest new
// extent counts.
void follow_extents(OpCase& out, const OpCase& before, const std::vector<ExtentGroup>& groups,
                    const std::vector<std::int64_t>& extents) {
  for (std::size_t i = 0; i < out.inputs.size(); ++i) {
    const CaseValues& asked = before.inputs[i].values;
    if (asked.kind != CaseValues::Kind::indices || asked.low != 0) continue;
    std::optional<std::int64_t> extent;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (asked.high == static_cast<double>(groups[g].extent - 1))
        extent = std::min(extent.value_or(extents[g]), extents[g]);
    }
    if (extent) out.inputs[i].values.high = static_cast<double>(std::max<std::int64_t>(*extent - 1, 0));
  }
}

}  // namespace

std::optional<std::size_t> shape_list(const OpDef& op) {
  for (const AttrField& field : op.attrs.fields) {
    // A longer list holds no shape.
    if (field.name == "shape" && field.storage == AttrField::Storage::list && field.capacity <= IntList::capacity) {
      return field.offset;
    }
  }
  return std::nullopt;
}

std::vector<std::byte> attribute_bytes(const OpDef& op, const OpCase& c) {
  return c.attrs.empty() ? op.attrs.defaults : c.attrs;
}

std::vector<std::int64_t> attribute_numbers(const OpDef& op, const OpCase& c, std::string_view name) {
  const std::vector<std::byte> attrs = attribute_bytes(op, c);
  for (const AttrField& field : op.attrs.fields) {
    if (field.name != name) continue;
    if (field.storage == AttrField::Storage::integer) return {read_slot(attrs, field.offset)};
    if (field.storage == AttrField::Storage::list) return numbers_at(field, attrs.data());
  }
  return {};
}

bool ExtentGroup::has(std::size_t input, int dim) const {
  return std::any_of(dims.begin(), dims.end(), [&](const Dimension& d) { return d.input == input && d.dim == dim; });
}

std::vector<ExtentGroup> extent_groups(const OpDef& op, const OpCase& c) {
  std::vector<ExtentGroup> groups;
  if (const auto at = shape_attribute(op, c)) {
    const std::vector<std::byte> attrs = attribute_bytes(op, c);
    for (std::int64_t i = 0; i < read_slot(attrs, *at); ++i) {
      const std::size_t slot = *at + offsetof(IntList, values) + static_cast<std::size_t>(i) * sizeof(std::int64_t);
      groups.push_back({read_slot(attrs, slot), {}, {slot}});
    }
    return groups;
  }
  const std::vector<std::byte> attrs = attribute_bytes(op, c);
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (c.inputs[i].absent || c.inputs[i].scalar) continue;
    for (int d = 0; d < c.inputs[i].shape.rank(); ++d) {
      const std::int64_t extent = c.inputs[i].shape[d];
      const auto others = free_dimensions(c, groups, extent, {i, d});
      const auto open = free_dimensions(c, groups, extent, {c.inputs.size(), 0});
      const bool taken = open.size() == others.size();
      if (taken) continue;
      std::vector<std::size_t> slots;
      for (std::size_t slot : extent_slots(op, attrs)) {
        if (read_slot(attrs, slot) == extent && extent > 1) slots.push_back(slot);
      }
      if (auto group = grow_with(op, c, {i, d}, others, slots)) groups.push_back(std::move(*group));
    }
  }
  return groups;
}

std::optional<OpCase> resized(const OpDef& op, const OpCase& c, const std::vector<ExtentGroup>& groups,
                              const std::vector<std::int64_t>& extents) {
  OpCase out = c;
  for (std::size_t g = 0; g < groups.size(); ++g) out = with_extent(std::move(out), op, groups[g], extents[g]);
  follow_extents(out, c, groups, extents);
  // Indices into an empty dimension cannot be drawn.
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const bool indexed = std::any_of(c.inputs.begin(), c.inputs.end(), [&](const CaseInput& in) {
      return in.values.kind == CaseValues::Kind::indices && in.values.high == static_cast<double>(groups[g].extent - 1);
    });
    if (extents[g] == 0 && indexed) return std::nullopt;
  }
  if (!infer_outputs(op, out)) return std::nullopt;
  return out;
}

std::optional<OpCase> with_shapes(const OpDef& op, const OpCase& c, const std::vector<Shape>& shapes) {
  const std::vector<ExtentGroup> groups = extent_groups(op, c);
  std::vector<std::int64_t> extents;
  const auto at = shape_attribute(op, c);
  if (shapes.size() != (at ? 1 : c.inputs.size())) return std::nullopt;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (at) {
      if (shapes[0].rank() != static_cast<int>(groups.size())) return std::nullopt;
      extents.push_back(shapes[0][static_cast<int>(g)]);
    } else {
      const ExtentGroup::Dimension d = groups[g].dims[0];
      if (shapes[d.input].rank() <= d.dim) return std::nullopt;
      extents.push_back(shapes[d.input][d.dim]);
    }
  }
  auto out = resized(op, c, groups, extents);
  return out && shapes_of(op, *out) == shapes ? out : std::nullopt;
}

std::vector<Shape> shapes_of(const OpDef& op, const OpCase& c) {
  std::vector<Shape> shapes;
  if (const auto at = shape_attribute(op, c)) {
    const std::vector<std::byte> attrs = attribute_bytes(op, c);
    Shape shape;
    for (std::int64_t i = 0; i < read_slot(attrs, *at); ++i) {
      shape.append(
          read_slot(attrs, *at + offsetof(IntList, values) + static_cast<std::size_t>(i) * sizeof(std::int64_t)));
    }
    return {shape};
  }
  for (const CaseInput& in : c.inputs) shapes.push_back(in.absent || in.scalar ? Shape{} : in.shape);
  return shapes;
}

bool has_empty_input(const OpCase& c) {
  return std::any_of(c.inputs.begin(), c.inputs.end(),
                     [](const CaseInput& in) { return !in.absent && !in.scalar && in.shape.size() == 0; });
}

int largest_rank(const OpCase& c) {
  int rank = 0;
  for (const CaseInput& in : c.inputs) rank = std::max(rank, in.absent || in.scalar ? 0 : in.shape.rank());
  return rank;
}

}  // namespace lockstep::conformance
