#include "tools/cli/arguments.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>
#include <vector>

#include "lockstep/error.h"

namespace cli {
namespace {

template <class T>
std::string why_not_whole(const std::string& text, T least, T most) {
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc{} && rest == end && value >= least && value <= most) return "";
  const bool bounded = most != static_cast<T>(std::numeric_limits<std::int64_t>::max());
  return "\"" + text + "\" is not a whole number " +
         (bounded ? "from " + std::to_string(least) + " to " + std::to_string(most)
                  : "of " + std::to_string(least) + " or more");
}

}  // namespace

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::shows_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::whole_number(std::int64_t least, std::int64_t most) {
  const auto check = [least, most](const std::string& text) { return why_not_whole(text, least, most); };
  option_->check(CLI::Validator(check, ""));
  return *this;
}

Option& Option::seed() {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const auto check = [](const std::string& text) { return why_not_whole<std::uint64_t>(text, 0, most); };
  option_->check(CLI::Validator(check, ""));
  return *this;
}

Option& Option::number(double least, double most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option& Option::not_empty() {
  const auto check = [](const std::string& text) { return text.empty() ? "it is empty" : std::string(); };
  option_->check(CLI::Validator(check, ""));
  return *this;
}

Option& Option::excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Option& Option::hidden() {
  option_->group("");
  return *this;
}

Option Command::flag(const std::string& name, bool& target, const std::string& help) {
  return Option(app_->add_flag(name, target, help));
}

void Command::passes_arguments_on() {
  app_->prefix_command();
  app_->set_help_flag();
}

template <class T>
Option Command::option(const std::string& name, T& target, const std::string& help) {
  return Option(app_->add_option(name, target, help));
}

template Option Command::option(const std::string&, std::string&, const std::string&);
template Option Command::option(const std::string&, int&, const std::string&);
template Option Command::option(const std::string&, unsigned&, const std::string&);
template Option Command::option(const std::string&, std::int64_t&, const std::string&);
template Option Command::option(const std::string&, std::uint64_t&, const std::string&);
template Option Command::option(const std::string&, double&, const std::string&);
template Option Command::option(const std::string&, std::optional<double>&, const std::string&);
template Option Command::option(const std::string&, std::vector<std::string>&, const std::string&);

Program::Program(const std::string& name, const std::string& version, const std::string& help)
    : app_(std::make_unique<CLI::App>(help, name)) {
  app_->set_version_flag("--version", name + " " + version);
  app_->require_subcommand(1);
}

Program::~Program() = default;

Command Program::command(const std::string& name, const std::string& help) {
  return Command(app_->add_subcommand(name, help));
}

std::string Program::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
    return app_->get_subcommands().front()->get_name();
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {  // --help, --version
      app_->exit(e);
      return "";
    }
    const bool no_command = app_->get_subcommands().empty() && !app_->remaining().empty();
    lockstep::ErrorBuilder(lockstep::ErrorId::bad_arguments, app_->get_name(),
                           no_command ? "there is no command \"" + app_->remaining().front() + "\"" : e.what())
        .fix("`lockstep --help` and `lockstep COMMAND --help` list what there is")
        .raise();
  }
}

}  // namespace cli
