// Declarations that the commands of `lockstep` share.
#pragma once

#include <string>
#include <vector>

#include "lockstep/lockstep.h"
#include "tools/cli/arguments.h"

namespace cli {

/// Each function adds a command to the program and returns the function that runs it.
Run add_devices(Program& program);
Run add_train(Program& program);
Run add_evaluate(Program& program);
Run add_conformance(Program& program);
Run add_bench(Program& program);
Run add_compare(Program& program);
Run add_ops(Program& program);

/// Splits "a,b" into its parts.
std::vector<std::string> split_list(const std::string& text);

/// Throws UsageError LS9001.
lockstep::MathMode parse_mode(const std::string& name);
[[noreturn]] void usage_error(const std::string& option, const std::string& what, const std::string& fix);

/// Throws UnsupportedError LS6002 unless the device offers the mode.
void require_mode(lockstep::Device device, lockstep::MathMode mode);

/// A table with aligned columns; the first row is the header. Columns in `right` are aligned to the right.
std::string format_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right);

}  // namespace cli
