#include "conformance/cases/attributes.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

struct Slot {
  std::string name;  // "strides.0"
  std::size_t offset;
  std::int64_t value;
};

// Numbers that choose a dtype or a device are no quantities.
bool is_quantity(const AttrField& field) {
  return field.name != "dtype" && field.name != "to" && field.name != "device" && field.kind != AttrField::Kind::real;
}

std::vector<Slot> slots_of(const OpDef& op, const std::vector<std::byte>& attrs) {
  std::vector<Slot> slots;
  const auto read = [&](std::size_t at) {
    std::int64_t value = 0;
    std::memcpy(&value, attrs.data() + at, sizeof value);
    return value;
  };
  for (const AttrField& field : op.attrs.fields) {
    if (!is_quantity(field)) continue;
    if (field.kind == AttrField::Kind::integer) {
      slots.push_back({field.name, field.offset, read(field.offset)});
      continue;
    }
    for (std::int64_t i = 0; i < read(field.offset); ++i) {
      const std::size_t at = field.offset + offsetof(IntList, values) + static_cast<std::size_t>(i) * sizeof i;
      slots.push_back({field.name + "." + std::to_string(i), at, read(at)});
    }
  }
  return slots;
}

std::optional<OpCase> changed(const OpDef& op, const OpCase& c, const Slot& slot, std::int64_t value) {
  OpCase out = c;
  out.attrs = attribute_bytes(op, c);
  std::memcpy(out.attrs.data() + slot.offset, &value, sizeof value);
  out.name += "@" + slot.name + "=" + std::to_string(value);
  const auto specs = infer_outputs(op, out);
  if (!specs || (*specs)[0].shape.is_empty()) return std::nullopt;
  return out;
}

// Inputs whose values must fit the attributes, such as positions within a window, would no longer do so.
bool holds_indices(const OpCase& c) {
  return std::any_of(c.inputs.begin(), c.inputs.end(),
                     [](const CaseInput& in) { return in.values.kind == CaseValues::Kind::indices; });
}

}  // namespace

std::optional<OpCase> with_attribute(const OpDef& op, const OpCase& c, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + equals + 1, text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  for (const Slot& slot : slots_of(op, attribute_bytes(op, c))) {
    if (slot.name == text.substr(0, equals)) return changed(op, c, slot, value);
  }
  return std::nullopt;
}

std::vector<OpCase> attribute_variations(const OpDef& op, const std::vector<Base>& bases, int count,
                                         std::uint64_t seed) {
  std::vector<OpCase> all;
  for (const Base& base : bases) {
    if (holds_indices(base.call)) continue;
    for (const Slot& slot : slots_of(op, attribute_bytes(op, base.call))) {
      for (std::int64_t value : {slot.value + 1, slot.value - 1, 2 * slot.value + 1, std::int64_t{0}}) {
        // Below zero, shapes hold handles of symbolic extents.
        if (value == slot.value || (value < 0 && slot.value >= 0)) continue;
        if (auto c = changed(op, base.call, slot, value)) all.push_back(std::move(*c));
      }
    }
  }
  // A sample, the same on every machine.
  std::vector<OpCase> chosen;
  for (std::uint64_t draw = 0; !all.empty() && chosen.size() < static_cast<std::size_t>(count); ++draw) {
    const std::size_t at = random_long_word({seed, 23}, draw) % all.size();
    chosen.push_back(std::move(all[at]));
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return chosen;
}

}  // namespace lockstep::conformance
