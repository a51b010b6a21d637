#include "backends/host/diag.h"

#include <cstdarg>

namespace host {
namespace {

// The path below the source folder, so that messages do not depend on where the driver was built.
const char* short_path(const char* path) {
  const char* found = std::strstr(path, "backends/");
  return found ? found : path;
}

void describe(lks_diag* diag, const char* where, const char* format, va_list args) {
  std::vsnprintf(diag->what, sizeof diag->what, format, args);
  std::snprintf(diag->where, sizeof diag->where, "%s", short_path(where));
}

}  // namespace

lks_status fail(lks_diag* diag, lks_status code, const char* where, const char* format, ...) {
  diag->code = code;
  diag->reason = LKS_REASON_NONE;
  diag->operand = -1;
  va_list args;
  va_start(args, format);
  describe(diag, where, format, args);
  va_end(args);
  return code;
}

lks_status refuse(lks_diag* diag, int reason, int operand, const char* where, const char* format, ...) {
  diag->code = LKS_UNSUPPORTED;
  diag->reason = reason;
  diag->operand = operand;
  va_list args;
  va_start(args, format);
  describe(diag, where, format, args);
  va_end(args);
  return LKS_UNSUPPORTED;
}

}  // namespace host
