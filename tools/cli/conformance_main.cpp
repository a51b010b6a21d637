// The program `lockstep-conformance`, which `lockstep conformance` starts with its own arguments.
#include "tools/cli/command.h"

int main(int argc, char** argv) {
  cli::Program program("lockstep", LOCKSTEP_VERSION, "Lockstep's conformance suite, as `lockstep conformance`.");
  const std::map<std::string, cli::Run> commands = {{"conformance", cli::add_conformance(program)}};
  return cli::run_command_line(program, commands, argc, argv);
}
