// Checks of paths that users give.
#pragma once

#include <string>
#include <string_view>

#include "lockstep/error.h"

namespace lockstep {

/// Throws IoError `id` of `op` for a path with a NUL byte. The system would open the file that the part before it
/// names.
inline void check_path(ErrorId id, std::string_view op, const std::string& path) {
  const std::size_t nul = path.find('\0');
  if (nul == std::string::npos) return;
  ErrorBuilder(id, op,
               path.substr(0, nul) + ": a NUL byte and " + std::to_string(path.size() - nul - 1) +
                   " more bytes of the path follow")
      .fix("give a path without NUL bytes")
      .raise();
}

}  // namespace lockstep
