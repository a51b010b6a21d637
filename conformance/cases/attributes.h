// Makes cases of an op with other attributes than its own cases have: strides, padding, axes …, whatever its shape
// inference accepts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conformance/cases/extents.h"

namespace lockstep::conformance {

/// A case, and the groups of its extents that may change.
struct Base {
  OpCase call;
  std::vector<ExtentGroup> groups;

  /// The extent of each group in the case.
  std::vector<std::int64_t> extents() const {
    std::vector<std::int64_t> all;
    for (const ExtentGroup& group : groups) all.push_back(group.extent);
    return all;
  }
};

/// Small extents that the op accepts together. Group by group, each extent is the smallest that the op accepts beside
/// the others.
std::vector<std::int64_t> smallest_extents(const OpDef& op, const Base& base);

/// One base for each distinct combination of ranks and attributes.
std::vector<const Base*> unlike_bases(const OpDef& op, const std::vector<Base>& bases);

/// Up to `count` variations of the cases with one attribute changed, named like "plain@strides.0=2", and up to `count`
/// with two attributes changed, named like "plain@strides.0=2@padding.1=1".
std::vector<OpCase> attribute_variations(const OpDef& op, const std::vector<Base>& bases, int count,
                                         std::uint64_t seed);

/// The case with integer attributes changed as the text says, such as "strides.0=2@padding.1=1"; nullopt if the op does
/// not have or accept them.
std::optional<OpCase> with_attributes(const OpDef& op, const OpCase& c, const std::string& text);

}  // namespace lockstep::conformance
