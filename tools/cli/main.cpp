// The `lockstep` command line.
#include "tools/cli/command.h"

int main(int argc, char** argv) {
  cli::Program program("lockstep", LOCKSTEP_VERSION,
                       "Lockstep: trains and runs tensor models on any device that a driver offers.");
  std::map<std::string, cli::Run> commands;
  commands["devices"] = cli::add_devices(program);
  commands["train"] = cli::add_train(program);
  commands["evaluate"] = cli::add_evaluate(program);
  program.command("conformance", cli::conformance_help).passes_arguments_on();
  commands["conformance"] = [argv]() -> int { cli::run_conformance_program(argv); };
  commands["compare"] = cli::add_compare(program);
  commands["bench"] = cli::add_bench(program);
  commands["ops"] = cli::add_ops(program);
  return cli::run_command_line(program, commands, argc, argv);
}
