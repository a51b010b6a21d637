// The JSON type for --json output; objects keep the order of their members.
#pragma once

#include <nlohmann/json.hpp>

namespace cli {

using Json = nlohmann::ordered_json;

}  // namespace cli
