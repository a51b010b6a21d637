// A process that does nothing but load a driver, use it, unload it and end. The other cases run in workers, which have
// opened the driver before, keep it loaded and end without closing it.
#pragma once

#include <string>
#include <vector>

namespace lockstep::conformance {

/// The process: reads the line "ORDINAL LIBRARY" from `in`, uses that device of that driver, and writes the line
/// "done", "skipped REASON" or "failed REASON" to `out`. Returns the exit status, which main must return, so that
/// static destructors run.
int run_alone(int in, int out);

/// Sets the command that starts a program which calls run_alone(3, 4). Without one, the case abi/alone is skipped.
void set_alone_command(std::vector<std::string> command);
const std::vector<std::string>& alone_command();

}  // namespace lockstep::conformance
