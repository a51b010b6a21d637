// The commands of a program and their options. CLI11, which reads them, takes eight seconds to compile: arguments.cpp
// alone includes it.
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

/// One option, to be described further.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option& required();
  /// --help tells the value that it has now.
  Option& shows_default();
  /// Refuses what is not a whole number from `least` to `most`.
  Option& whole_number(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());
  Option& number(double least, double most);
  Option& not_empty();
  /// Refuses both at once.
  Option& excludes(const Option& other);
  /// --help does not list it.
  Option& hidden();

 private:
  CLI::Option* option_;
};

/// What a command does; its exit status.
using Run = std::function<int()>;

class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Option flag(const std::string& name, bool& target, const std::string& help);
  /// A T is a std::string, an integer of 32 or 64 bits, a double, an optional double, or a vector of std::string.
  template <class T>
  Option option(const std::string& name, T& target, const std::string& help);

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

  /// The name of the command that the arguments give, after its options have their values. Empty where --help or
  /// --version was asked for, and answered. Throws UsageError LS9001.
  std::string parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace cli
