#include "backends/common/diag.h"

#include <cstdarg>

namespace common {
namespace {

// Cuts the path down to the part from backends/ on, so that messages do not depend on where the driver was built.
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

lks_diag empty_diag() {
  lks_diag diag;
  std::memset(&diag, 0, sizeof diag);
  diag.hdr.size = sizeof diag;
  diag.operand = -1;
  return diag;
}

void set_launch(lks_diag* diag, std::uint32_t index) {
  if (LKS_HAS_FIELD(diag, launch)) diag->launch = index + 1;
}

void clear_launch(lks_diag* diag) {
  if (LKS_HAS_FIELD(diag, launch)) diag->launch = 0;
}

void copy_diag(const lks_diag& from, lks_diag* to) {
  const std::uint32_t both = from.hdr.size < to->hdr.size ? from.hdr.size : to->hdr.size;
  const std::uint32_t bytes = both < sizeof(lks_diag) ? both : static_cast<std::uint32_t>(sizeof(lks_diag));
  if (bytes <= sizeof(lks_header)) return;
  std::memcpy(reinterpret_cast<char*>(to) + sizeof(lks_header),
              reinterpret_cast<const char*>(&from) + sizeof(lks_header), bytes - sizeof(lks_header));
}

lks_diag own_copy(const lks_diag& from) {
  lks_diag copy = empty_diag();
  copy_diag(from, &copy);
  return copy;
}

lks_status return_stored(const lks_diag& kept, lks_diag* diag) {
  copy_diag(kept, diag);
  return kept.code;
}

lks_status fail_index(lks_diag* diag, const char* where, std::int64_t index, std::int64_t position, int axis,
                      std::int64_t extent) {
  fail(diag, LKS_INVALID_ARGUMENT, where, "index %lld at position %lld is outside axis %d of extent %lld",
       static_cast<long long>(index), static_cast<long long>(position), axis, static_cast<long long>(extent));
  diag->reason = LKS_REASON_INDEX;
  std::snprintf(diag->hint, sizeof diag->hint, "indices go from 0 to the extent - 1");
  return LKS_INVALID_ARGUMENT;
}

}  // namespace common
