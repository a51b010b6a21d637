// Settings that drivers and the runtime read by name, such as "cpu.isa".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lockstep/export.h"

namespace LOCKSTEP_API lockstep {

/// Sets an option for drivers that are loaded later; nullopt restores the default.
void set_option(std::string_view key, std::optional<std::string> value);

/// The value set by set_option, else the value of the environment variable LOCKSTEP_<KEY> (in upper case, with '_' for
/// '.'), else nullopt. The environment is ignored in privileged processes.
std::optional<std::string> option(std::string_view key);

/// Receives the log messages of drivers and the runtime. Levels: 1 error, 2 warning, 3 information, 4 debugging. The
/// default sink prints errors and warnings to standard error; LOCKSTEP_LOG=3 prints more.
using LogSink = void (*)(int level, std::string_view component, std::string_view text);
void set_log_sink(LogSink sink);
void log(int level, std::string_view component, std::string_view text);

}  // namespace lockstep
