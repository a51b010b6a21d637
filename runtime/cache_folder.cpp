#include "runtime/cache_folder.h"

#include <cstdlib>

namespace lockstep {

std::optional<std::string> default_cache_folder() {
  // The specification says that relative paths must be ignored.
  if (const char* cache = secure_getenv("XDG_CACHE_HOME"); cache && cache[0] == '/')
    return std::string(cache) + "/lockstep";
  if (const char* home = secure_getenv("HOME"); home && home[0] == '/') return std::string(home) + "/.cache/lockstep";
  return std::nullopt;
}

}  // namespace lockstep
