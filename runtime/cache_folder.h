// Where what can be made again is kept between runs.
#pragma once

#include <optional>
#include <string>

namespace lockstep {

/// The user's cache folder for this library, as the XDG Base Directory Specification has it: lockstep in
/// XDG_CACHE_HOME, or in .cache of HOME. Empty where neither is set, and in privileged programs. The folder need not
/// exist.
std::optional<std::string> default_cache_folder();

}  // namespace lockstep
