// Filling in a diagnosis.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "lockstep/driver.h"

namespace host {

#define HOST_STRINGIFY_(x) #x
#define HOST_STRINGIFY(x) HOST_STRINGIFY_(x)
#define HOST_WHERE (__FILE__ ":" HOST_STRINGIFY(__LINE__))

/// The path below the source folder, so that messages do not depend on where the driver was built.
inline const char* short_path(const char* path) {
  const char* found = std::strstr(path, "backends/");
  return found ? found : path;
}

[[gnu::format(printf, 4, 5)]] inline lks_status fail(lks_diag* diag, lks_status code, const char* where,
                                                     const char* format, ...) {
  diag->code = code;
  diag->reason = LKS_REASON_NONE;
  diag->operand = -1;
  va_list args;
  va_start(args, format);
  std::vsnprintf(diag->what, sizeof diag->what, format, args);
  va_end(args);
  std::snprintf(diag->where, sizeof diag->where, "%s", short_path(where));
  return code;
}

/// A refusal: LKS_UNSUPPORTED with its reason and the operand to blame (-1: none).
[[gnu::format(printf, 5, 6)]] inline lks_status refuse(lks_diag* diag, int reason, int operand, const char* where,
                                                       const char* format, ...) {
  diag->code = LKS_UNSUPPORTED;
  diag->reason = reason;
  diag->operand = operand;
  va_list args;
  va_start(args, format);
  std::vsnprintf(diag->what, sizeof diag->what, format, args);
  va_end(args);
  std::snprintf(diag->where, sizeof diag->where, "%s", short_path(where));
  return LKS_UNSUPPORTED;
}

}  // namespace host
