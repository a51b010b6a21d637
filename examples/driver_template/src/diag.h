// Functions that fill in a lks_diag. Every failure reports what failed, with numbers, and where.
#pragma once

#include <lockstep/driver.h>

#include <algorithm>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>

[[gnu::format(printf, 3, 4)]] inline lks_status fail(lks_diag* diag, lks_status code, const char* format, ...) {
  diag->code = code;
  diag->reason = LKS_REASON_NONE;
  diag->operand = -1;
  va_list args;
  va_start(args, format);
  std::vsnprintf(diag->what, sizeof diag->what, format, args);
  va_end(args);
  std::snprintf(diag->where, sizeof diag->where, "driver template");
  return code;
}

// Reports that the driver has no kernel for a request. The host acts on the reason: it makes a layout dense and asks
// again, or it decomposes the op into smaller ones. `operand` is the index of the tensor at fault (inputs first, then
// outputs), or -1.
[[gnu::format(printf, 4, 5)]] inline lks_status refuse(lks_diag* diag, int reason, int operand, const char* format,
                                                       ...) {
  fail(diag, LKS_UNSUPPORTED, "%s", "");
  va_list args;
  va_start(args, format);
  std::vsnprintf(diag->what, sizeof diag->what, format, args);
  va_end(args);
  diag->reason = reason;
  diag->operand = operand;
  return LKS_UNSUPPORTED;
}

// The host may be older or newer than this driver, so its diag may be smaller or larger than lks_diag is here. Only the
// fields that both know are copied, and a header is never changed.
inline void copy_fields(const lks_diag& from, std::size_t from_bytes, lks_diag* to, std::size_t to_bytes) {
  const std::size_t begin = sizeof(lks_header), end = std::min({from_bytes, to_bytes, sizeof(lks_diag)});
  if (end > begin) {
    std::memcpy(reinterpret_cast<char*>(to) + begin, reinterpret_cast<const char*>(&from) + begin, end - begin);
  }
}

// Copies a failure that the driver has kept to the host's diag.
inline lks_status tell(const lks_diag& kept, lks_diag* diag) {
  copy_fields(kept, sizeof kept, diag, diag->hdr.size);
  return kept.code;
}

// The host's diag in a copy that the driver keeps.
inline lks_diag own_copy(const lks_diag& diag) {
  lks_diag kept{};
  copy_fields(diag, diag.hdr.size, &kept, sizeof kept);
  return kept;
}

// Call this before each native allocation, map, submit, compile and wait. The host may inject a failure there, to test
// error handling.
#define FAULT_POINT(host_api, kind, site)                                                                    \
  if (const lks_status injected = (host_api).fault_point((host_api).host, kind, site); injected != LKS_OK) { \
    return fail(diag, injected, "injected at %s", site);                                                     \
  }
