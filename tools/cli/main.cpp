// The `lockstep` command line.
#include <cstdio>
#include <map>

#include "tools/cli/command.h"

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

int main(int argc, char** argv) {
  cli::Program program("lockstep", LOCKSTEP_VERSION,
                       "Lockstep: trains and runs tensor models on any device that a driver offers.");
  const std::map<std::string, cli::Run> commands = {{"devices", cli::add_devices(program)},
                                                    {"train", cli::add_train(program)},
                                                    {"evaluate", cli::add_evaluate(program)},
                                                    {"conformance", cli::add_conformance(program)},
                                                    {"compare", cli::add_compare(program)},
                                                    {"bench", cli::add_bench(program)},
                                                    {"ops", cli::add_ops(program)}};
  try {
    const std::string command = program.parse(argc, argv);
    return command.empty() ? 0 : commands.at(command)();
  } catch (const lockstep::Error& e) {
    return report(e.what(), is_bad_input(e));
  } catch (const std::exception& e) {
    return report(std::string("lockstep: ") + e.what(), false);
  }
}
