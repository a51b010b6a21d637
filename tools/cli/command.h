// What the commands of `lockstep` share.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lockstep/lockstep.h"

namespace cli {

using Json = nlohmann::ordered_json;

/// Adds a command to the program; each returns what runs it, with its exit status.
using Run = std::function<int()>;
Run add_devices(CLI::App& app);
Run add_train(CLI::App& app);
Run add_evaluate(CLI::App& app);
Run add_conformance(CLI::App& app);
Run add_bench(CLI::App& app);
Run add_compare(CLI::App& app);

/// "a,b" as its parts.
std::vector<std::string> split_list(const std::string& text);

/// Throws UsageError LS9001.
lockstep::MathMode parse_mode(const std::string& name);
[[noreturn]] void usage_error(const std::string& option, const std::string& what, const std::string& fix);

/// Throws UnsupportedError LS6002 unless the device offers the mode.
void require_mode(lockstep::Device device, lockstep::MathMode mode);

/// A check for options: a whole number from `least` to `most`.
CLI::Validator whole_number(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// A table with aligned columns; the first row is the header. Columns in `right` are aligned to the right.
std::string format_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right);

}  // namespace cli
