// Declarations that the commands of `lockstep` share.
#pragma once

#include <filesystem>
#include <map>
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

/// What `lockstep conformance` does, for the help of both programs.
inline constexpr const char* conformance_help =
    "Certify a device: every op, its gradients, memory, queues, faults; exit status 0 only if all passed";

std::filesystem::path path_of_this_program();

/// Replaces this process by `lockstep-conformance`, a program beside this one, with the same arguments. The suite is a
/// program of its own because most users do not need it and it takes as long to compile as the library. Throws
/// UsageError LS9001 if there is no such program.
[[noreturn]] void run_conformance_program(char** argv);

/// Parses the arguments, runs the command that they name, and prints errors. Returns the exit status.
int run_command_line(Program& program, const std::map<std::string, Run>& commands, int argc, char** argv);

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
