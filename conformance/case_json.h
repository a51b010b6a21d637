// Reads shapes and attributes from the JSON of the files of expected values.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "lockstep/op_def.h"

namespace lockstep::conformance {

/// A list of extents.
Shape shape_from(const nlohmann::json& json);

/// The attribute struct of `op` with the named fields set, the others at their defaults. Throws std::runtime_error for
/// a name that the op does not have.
std::vector<std::byte> attributes_from(const OpDef& op, const nlohmann::json& json);

}  // namespace lockstep::conformance
