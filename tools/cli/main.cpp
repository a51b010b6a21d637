// The `lockstep` command line.
#include <cstdio>
#include <map>

#include "tools/cli/command.h"

namespace {

// Errors of the user's making, as against failures of the machine.
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

int usage(const CLI::ParseError& e, const CLI::App& app) {
  if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
  const bool no_command = app.get_subcommands().empty() && !app.remaining().empty();
  try {
    lockstep::ErrorBuilder(lockstep::ErrorId::bad_arguments, "lockstep",
                           no_command ? "there is no command \"" + app.remaining().front() + "\"" : e.what())
        .fix("`lockstep --help` and `lockstep COMMAND --help` list what there is")
        .raise();
  } catch (const lockstep::Error& error) {
    return report(error.what(), true);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Lockstep: trains and runs tensor models on any device that a driver offers.", "lockstep");
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION);
  app.require_subcommand(1);
  const cli::Run devices = cli::add_devices(app), train = cli::add_train(app), evaluate = cli::add_evaluate(app),
                 conformance = cli::add_conformance(app), compare = cli::add_compare(app), bench = cli::add_bench(app);
  const std::map<std::string, cli::Run> commands = {{"devices", devices},   {"train", train},
                                                    {"evaluate", evaluate}, {"conformance", conformance},
                                                    {"compare", compare},   {"bench", bench}};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return usage(e, app);
  }
  try {
    return commands.at(app.get_subcommands().front()->get_name())();
  } catch (const lockstep::Error& e) {
    return report(e.what(), is_bad_input(e));
  } catch (const std::exception& e) {
    return report(std::string("lockstep: ") + e.what(), false);
  }
}
