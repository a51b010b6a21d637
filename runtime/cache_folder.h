// The folder for caches that persist between runs.
#pragma once

#include <optional>
#include <string>

namespace lockstep {

/// The user's cache folder for this library, according to the XDG Base Directory Specification: lockstep in
/// XDG_CACHE_HOME, or else in .cache of HOME. nullopt if neither is set, and in privileged programs. The folder need
/// not exist.
std::optional<std::string> default_cache_folder();

}  // namespace lockstep
