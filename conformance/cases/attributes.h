// Cases of an op with other attributes than its own cases have: strides, padding, axes …, whatever its shape inference
// accepts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conformance/cases/extents.h"

namespace lockstep::conformance {

/// A case, and which of its extents may change.
struct Base {
  OpCase call;
  std::vector<ExtentGroup> groups;
};

/// Up to `count` variations of the cases with one attribute changed, named like "plain@strides.0=2", and as many with
/// two, like "plain@strides.0=2@padding.1=1".
std::vector<OpCase> attribute_variations(const OpDef& op, const std::vector<Base>& bases, int count,
                                         std::uint64_t seed);

/// The case with attribute integers changed as the text says, such as "strides.0=2@padding.1=1"; nullopt where they
/// cannot be.
std::optional<OpCase> with_attributes(const OpDef& op, const OpCase& c, const std::string& text);

}  // namespace lockstep::conformance
