// Errors inside a GPU driver are exceptions; they become statuses at the ABI.
#pragma once

#include <cstdint>
#include <exception>
#include <new>

#include "backends/common/diag.h"
#include "backends/common/float_environment.h"

namespace gpu {

/// Not a std::exception, so that no handler inside the driver catches it: only guard() turns it into a status.
class Failure {
 public:
  explicit Failure(const lks_diag& diag) : diag_(diag) {}
  const lks_diag& diag() const { return diag_; }

 private:
  lks_diag diag_;
};

/// Throws Failure.
[[noreturn, gnu::format(printf, 3, 4)]] void raise(lks_status code, const char* where, const char* format, ...);

/// Throws Failure of LKS_OUT_OF_MEMORY.
[[noreturn]] void raise_out_of_memory(const char* where, std::uint64_t requested, std::uint64_t free_bytes,
                                      const char* of_what);

/// Throws Failure if the host's fault point injects a failure of the native call that follows.
void fault_point(const lks_host_api& host, std::uint32_t kind, const char* site, const char* where);
#define GPU_FAULT_POINT(host, kind, site) ::gpu::fault_point((host), (kind), (site), DRIVER_WHERE)

/// Runs f and turns what it throws into a status and the caller's diagnosis. Meanwhile the thread's rounding and
/// denormal modes are the default ones, not the application's: native drivers that compute on the CPU pass them on to
/// their threads, and compilers use them for constants.
template <class F>
lks_status guard(lks_diag* diag, F&& f) {
  const common::FloatEnvironment environment;
  try {
    f();
    return LKS_OK;
  } catch (const Failure& e) {
    return common::return_stored(e.diag(), diag);
  } catch (const std::bad_alloc&) {
    return common::fail(diag, LKS_OUT_OF_MEMORY, DRIVER_WHERE, "no host memory");
  } catch (const std::exception& e) {
    return common::fail(diag, LKS_INTERNAL, DRIVER_WHERE, "%s", e.what());
  }
}

}  // namespace gpu
