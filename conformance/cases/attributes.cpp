#include "conformance/cases/attributes.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "conformance/cases/inferred_outputs.h"
#include "conformance/suite/split.h"
#include "ops/random/philox_reference.h"

namespace lockstep::conformance {
namespace {

struct Slot {
  std::string name;  // "strides.0"
  std::size_t offset;
  std::int64_t value;
};

// Attributes that select a dtype or a device are not quantities. Texts stay as the op's own cases give them.
bool is_quantity(const AttrField& field) {
  using Storage = AttrField::Storage;
  const ArgumentKind kind = field.argument.kind;
  if (kind == ArgumentKind::dtype || kind == ArgumentKind::device) return false;
  return field.storage == Storage::integer || field.storage == Storage::list;
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
    if (field.storage == AttrField::Storage::integer) {
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

struct Change {
  Slot slot;
  std::int64_t value;
};

std::optional<OpCase> changed(const OpDef& op, const OpCase& c, const std::vector<Change>& changes) {
  OpCase out = c;
  out.attrs = attribute_bytes(op, c);
  for (const Change& change : changes) {
    std::memcpy(out.attrs.data() + change.slot.offset, &change.value, sizeof change.value);
    out.name += "@" + change.slot.name + "=" + std::to_string(change.value);
  }
  const auto specs = infer_outputs(op, out);
  if (!specs || (*specs)[0].shape.is_empty()) return std::nullopt;
  return out;
}

// Other values of an integer attribute. A value that is not negative stays so, because a negative extent in a shape is
// the handle of a symbolic extent.
std::vector<Change> changes_of(const Slot& slot) {
  std::vector<Change> changes;
  for (std::int64_t value :
       {slot.value + 1, slot.value - 1, 2 * slot.value + 1, std::int64_t{0}, std::int64_t{9}, std::int64_t{17}}) {
    if (value != slot.value && (value >= 0 || slot.value < 0)) changes.push_back({slot, value});
  }
  return changes;
}

// A random sample of `count` cases, the same on every machine.
std::vector<OpCase> sample_of(std::vector<OpCase> all, int count, RandomKey key) {
  std::vector<OpCase> chosen;
  for (std::uint64_t draw = 0; !all.empty() && chosen.size() < static_cast<std::size_t>(count); ++draw) {
    const std::size_t at = random_long_word(key, draw) % all.size();
    chosen.push_back(std::move(all[at]));
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return chosen;
}

// Whether an input holds indices. Their values must fit the attributes (such as positions within a window) and may not
// fit changed ones.
bool holds_indices(const OpCase& c) {
  return std::any_of(c.inputs.begin(), c.inputs.end(),
                     [](const CaseInput& in) { return in.values.kind == CaseValues::Kind::indices; });
}

}  // namespace

std::optional<OpCase> with_attributes(const OpDef& op, const OpCase& c, const std::string& text) {
  std::vector<Change> changes;
  const std::vector<Slot> slots = slots_of(op, attribute_bytes(op, c));
  for (const std::string& part : split(text, '@')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(part.data() + equals + 1, part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size()) return std::nullopt;
    const auto slot =
        std::find_if(slots.begin(), slots.end(), [&](const Slot& s) { return s.name == part.substr(0, equals); });
    if (slot == slots.end()) return std::nullopt;
    changes.push_back({*slot, value});
  }
  return changed(op, c, changes);
}

std::vector<std::int64_t> smallest_extents(const OpDef& op, const Base& base) {
  std::vector<std::int64_t> extents = base.extents();
  const bool has_indices = std::any_of(base.call.inputs.begin(), base.call.inputs.end(),
                                       [](const CaseInput& in) { return in.values.kind == CaseValues::Kind::indices; });
  for (std::size_t g = 0; g < extents.size(); ++g) {
    // Indices may point into an extent that an attribute gives, such as a window.
    if (has_indices && !base.groups[g].attributes.empty()) continue;
    const std::int64_t own = extents[g];
    for (extents[g] = 1; extents[g] < own; ++extents[g]) {
      if (resized(op, base.call, base.groups, extents)) break;
    }
  }
  return extents;
}

std::vector<const Base*> unlike_bases(const OpDef& op, const std::vector<Base>& bases) {
  std::vector<const Base*> unlike;
  std::set<std::string> seen;
  for (const Base& base : bases) {
    std::string key;
    for (const CaseInput& in : base.call.inputs) key += std::to_string(in.absent ? -1 : in.shape.rank()) + ",";
    for (std::byte b : attribute_bytes(op, base.call)) key += static_cast<char>(b);
    if (seen.insert(key).second) unlike.push_back(&base);
  }
  return unlike;
}

std::vector<OpCase> attribute_variations(const OpDef& op, const std::vector<Base>& bases, int count,
                                         std::uint64_t seed) {
  std::vector<OpCase> single, twofold;
  for (const Base& base : bases) {
    if (holds_indices(base.call)) continue;
    std::vector<Change> all;
    for (const Slot& slot : slots_of(op, attribute_bytes(op, base.call))) {
      for (const Change& change : changes_of(slot)) {
        if (auto c = changed(op, base.call, {change})) single.push_back(std::move(*c));
        all.push_back(change);
      }
    }
    // Only some of all pairs, because each requires shape inference.
    for (std::uint64_t draw = 0; all.size() > 1 && draw < 4u * static_cast<unsigned>(count); ++draw) {
      const std::uint64_t word = random_long_word({seed, 29}, draw);
      const Change &a = all[word % all.size()], &b = all[(word >> 32) % all.size()];
      if (a.slot.offset >= b.slot.offset) continue;
      if (auto c = changed(op, base.call, {a, b})) twofold.push_back(std::move(*c));
    }
  }
  std::vector<OpCase> chosen = sample_of(std::move(single), count, {seed, 23});
  for (OpCase& c : sample_of(std::move(twofold), count, {seed, 31})) chosen.push_back(std::move(c));
  return chosen;
}

}  // namespace lockstep::conformance
