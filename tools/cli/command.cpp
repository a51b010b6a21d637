#include "tools/cli/command.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

namespace cli {
namespace {

// True for errors that the user caused, false for failures of the machine.
bool is_bad_input(const lockstep::Error& e) {
  switch (e.id()) {
    case lockstep::ErrorId::device_lost:
    case lockstep::ErrorId::driver_failed:
    case lockstep::ErrorId::invalid_op_definition: return false;
    default: return true;
  }
}

int report(const std::string& text, bool bad_input) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return bad_input ? 2 : 1;
}

}  // namespace

int run_command_line(Program& program, const std::map<std::string, Run>& commands, int argc, char** argv) {
  try {
    const std::string command = program.parse(argc, argv);
    return command.empty() ? 0 : commands.at(command)();
  } catch (const lockstep::Error& e) {
    return report(e.what(), is_bad_input(e));
  } catch (const std::exception& e) {
    return report(std::string("lockstep: ") + e.what(), false);
  }
}

std::filesystem::path path_of_this_program() { return std::filesystem::read_symlink("/proc/self/exe"); }

void run_conformance_program(char** argv) {
  const std::string program = path_of_this_program().replace_filename("lockstep-conformance").string();
  execv(program.c_str(), argv);
  usage_error("conformance", program + " cannot be started: " + std::strerror(errno),
              "build it: cmake --build FOLDER --target lockstep_conformance_program, with the folder of this build");
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

void usage_error(const std::string& option, const std::string& what, const std::string& fix) {
  lockstep::ErrorBuilder(lockstep::ErrorId::bad_arguments, option, what).fix(fix).raise();
}

lockstep::MathMode parse_mode(const std::string& name) {
  if (const auto mode = lockstep::find_mode(name)) return *mode;
  usage_error("--mode", "there is no math mode \"" + name + "\"", "use strict, fast or lockstep");
}

void require_mode(lockstep::Device device, lockstep::MathMode mode) {
  std::string offered;
  for (lockstep::MathMode m : lockstep::describe(device).modes) {
    if (m == mode) return;
    offered += (offered.empty() ? "" : " and ") + std::string(lockstep::name_of(m));
  }
  lockstep::ErrorBuilder(lockstep::ErrorId::math_mode, "--mode",
                         device.name() + " does not offer the math mode " + std::string(lockstep::name_of(mode)))
      .fix("it offers " + offered)
      .raise();
}

namespace {

// Number of columns that UTF-8 text takes on a terminal: continuation bytes take none.
std::size_t width_of(const std::string& text) {
  std::size_t width = 0;
  for (unsigned char c : text) width += (c & 0xc0u) != 0x80u;
  return width;
}

}  // namespace

std::string format_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - width_of(row[c]), ' ');
      line += (c ? "  " : " ") + (c < right.size() && right[c] ? space + row[c] : row[c] + space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace cli
