// What goes wrong inside the driver travels as an exception, and becomes a status at the edge of the ABI.
#pragma once

#include <volk.h>

#include <cstdint>
#include <exception>
#include <new>

#include "backends/host/diag.h"
#include "backends/host/float_environment.h"

namespace vulkan {

/// No std::exception: what catches those in between knows less of it than the edge does.
class Failure {
 public:
  explicit Failure(const lks_diag& diag) : diag_(diag) {}
  const lks_diag& diag() const { return diag_; }

 private:
  lks_diag diag_;
};

using host::empty_diag;
using host::give;

/// Throws Failure.
[[noreturn, gnu::format(printf, 3, 4)]] void raise(lks_status code, const char* where, const char* format, ...);

/// Throws Failure of LKS_OUT_OF_MEMORY.
[[noreturn]] void raise_out_of_memory(const char* where, std::uint64_t requested, std::uint64_t free_bytes,
                                      const char* of_what);

/// Throws Failure where `result` is an error, naming the call and the result.
void check(VkResult result, const char* call, const char* where);
#define VULKAN_CHECK(call) ::vulkan::check((call), #call, HOST_WHERE)

/// Throws Failure where the host's fault point says that the native work which follows has failed.
void fault_point(const lks_host_api& host, std::uint32_t kind, const char* site, const char* where);
#define VULKAN_FAULT_POINT(host, kind, site) ::vulkan::fault_point((host), (kind), (site), HOST_WHERE)

lks_status status_of(VkResult result);
const char* name_of(VkResult result);

/// Runs f; what it throws becomes a status and the caller's diagnosis. The application's floating-point settings stay
/// outside: a Vulkan driver on the CPU hands them on to its threads, and compilers compute constants with them.
template <class F>
lks_status guard(lks_diag* diag, F&& f) {
  const host::FloatEnvironment environment;
  try {
    f();
    return LKS_OK;
  } catch (const Failure& e) {
    return give(e.diag(), diag);
  } catch (const std::bad_alloc&) {
    return host::fail(diag, LKS_OUT_OF_MEMORY, HOST_WHERE, "no host memory");
  } catch (const std::exception& e) {
    return host::fail(diag, LKS_INTERNAL, HOST_WHERE, "%s", e.what());
  }
}

}  // namespace vulkan
