#include "backends/gpu/failure.h"

#include <cstdarg>

namespace gpu {

void raise(lks_status code, const char* where, const char* format, ...) {
  char text[sizeof lks_diag::what];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  lks_diag diag = common::empty_diag();
  common::fail(&diag, code, where, "%s", text);
  throw Failure(diag);
}

void raise_out_of_memory(const char* where, std::uint64_t requested, std::uint64_t free_bytes, const char* of_what) {
  lks_diag diag = common::empty_diag();
  common::fail(&diag, LKS_OUT_OF_MEMORY, where, "cannot allocate %llu bytes of %s, %llu are free",
               static_cast<unsigned long long>(requested), of_what, static_cast<unsigned long long>(free_bytes));
  diag.requested_bytes = requested;
  diag.free_bytes = free_bytes;
  throw Failure(diag);
}

void fault_point(const lks_host_api& host, std::uint32_t kind, const char* site, const char* where) {
  const lks_status injected = host.fault_point(host.host, kind, site);
  if (injected != LKS_OK) raise(injected, where, "injected at %s", site);
}

}  // namespace gpu
