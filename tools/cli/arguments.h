// The commands of a program and their options. They are read by CLI11, which takes eight seconds to compile, so only
// arguments.cpp includes it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace cli {

/// One option. The methods add properties and return the option.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option& required();
  /// --help shows the value that the target has now.
  Option& shows_default();
  /// Rejects everything except whole numbers from `least` to `most`.
  Option& whole_number(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());
  /// Rejects everything except whole numbers that 64 bits without a sign hold.
  Option& seed();
  Option& number(double least, double most);
  Option& not_empty();
  /// Rejects the two options together.
  Option& excludes(const Option& other);
  /// --help does not list the option.
  Option& hidden();

 private:
  CLI::Option* option_;
};

/// Runs a command and returns its exit status.
using Run = std::function<int()>;

class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Option flag(const std::string& name, bool& target, const std::string& help);
  /// T is a std::string, an integer of 32 or 64 bits, a double, an optional double, or a vector of std::string.
  template <class T>
  Option option(const std::string& name, T& target, const std::string& help);
  /// The command reads its arguments itself, `--help` included.
  void passes_arguments_on();

 private:
  CLI::App* app_;
};

class Program {
 public:
  Program(const std::string& name, const std::string& version, const std::string& help);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Command command(const std::string& name, const std::string& help);

  /// Returns the name of the command in the arguments, after setting the values of its options. Returns "" after --help
  /// or --version, which it answers itself. Throws UsageError LS9001.
  std::string parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace cli
