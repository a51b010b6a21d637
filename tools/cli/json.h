// What --json prints: objects whose members stay in their order.
#pragma once

#include <nlohmann/json.hpp>

namespace cli {

using Json = nlohmann::ordered_json;

}  // namespace cli
