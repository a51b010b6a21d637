// The entry symbol, and the check that this processor can run the kernels. Only this file is compiled for every x86-64
// processor: code that runs before `probe` returns must not use newer instructions. For the same reason it calls no
// templates or inline functions that the kernels also instantiate, because the linker keeps only one copy of those.
#include <sched.h>

#include <cstdio>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "backends/host/host_driver.h"

#if defined(LOCKSTEP_WITH_ONEDNN)
#include <dnnl_version.h>
#define LIBRARY_TEXT                                                                                            \
  "oneDNN " DRIVER_STRINGIFY(DNNL_VERSION_MAJOR) "." DRIVER_STRINGIFY(DNNL_VERSION_MINOR) "." DRIVER_STRINGIFY( \
      DNNL_VERSION_PATCH)
#else
#define LIBRARY_TEXT "no oneDNN"
#endif

#define LEVEL_TEXT "v" DRIVER_STRINGIFY(LOCKSTEP_CPU_LEVEL)

namespace {

constexpr char version_text[] = LIBRARY_TEXT ", x86-64-" LEVEL_TEXT;

// The first instruction-set extension that the level needs and the processor lacks, or nullptr.
const char* missing_feature() {
#define NEEDS(feature) \
  if (!__builtin_cpu_supports(feature)) return feature
  __builtin_cpu_init();
  NEEDS("ssse3");
  NEEDS("sse4.1");
  NEEDS("sse4.2");
  NEEDS("popcnt");
  if (LOCKSTEP_CPU_LEVEL >= 3) {
    NEEDS("avx2");
    NEEDS("bmi");
    NEEDS("bmi2");
    NEEDS("fma");
    NEEDS("f16c");
  }
  if (LOCKSTEP_CPU_LEVEL >= 4) {
    NEEDS("avx512f");
    NEEDS("avx512bw");
    NEEDS("avx512cd");
    NEEDS("avx512dq");
    NEEDS("avx512vl");
  }
#undef NEEDS
  return nullptr;
}

lks_status probe(const lks_host_api& host, lks_diag* diag) {
  char wanted[32] = "";
  if (host.get_option(host.host, "cpu.isa", wanted, sizeof wanted) > 0) {
    const bool known = wanted[0] == 'v' && wanted[1] >= '2' && wanted[1] <= '4' && wanted[2] == '\0';
    if (!known) {
      return common::fail(diag, LKS_UNAVAILABLE, DRIVER_WHERE, "LOCKSTEP_CPU_ISA=%s is not a level: it is v2, v3 or v4",
                          wanted);
    }
    if (std::strcmp(wanted, LEVEL_TEXT) != 0) {
      return common::fail(diag, LKS_UNAVAILABLE, DRIVER_WHERE, "LOCKSTEP_CPU_ISA=%s asks for another build", wanted);
    }
  }
  if (const char* feature = missing_feature()) {
    return common::fail(diag, LKS_UNAVAILABLE, DRIVER_WHERE, "this processor lacks %s", feature);
  }
  return LKS_OK;
}

// Copies the value of a line such as "model name : …" of /proc/cpuinfo; leaves `out` unchanged if there is none.
void read_cpuinfo(const char* key, char* out, std::size_t size) {
  std::FILE* file = std::fopen("/proc/cpuinfo", "r");
  if (!file) return;
  char line[512];
  const std::size_t length = std::strlen(key);
  while (std::fgets(line, sizeof line, file)) {
    const char* value = std::strchr(line, ':');
    if (!value || std::strncmp(line, key, length) != 0) continue;
    value += std::strspn(value, ": \t");
    std::snprintf(out, size, "%.*s", static_cast<int>(std::strcspn(value, "\n")), value);
    break;
  }
  std::fclose(file);
}

std::uint32_t usable_cores(std::uint32_t all) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return all;
  const int count = CPU_COUNT(&set);
  return count > 0 ? static_cast<std::uint32_t>(count) : all;
}

void describe(const lks_host_api&, lks_device_info& info) {
  std::snprintf(info.name, sizeof info.name, "x86-64 processor");
  std::snprintf(info.vendor, sizeof info.vendor, "unknown");
  read_cpuinfo("model name", info.name, sizeof info.name);
  read_cpuinfo("vendor_id", info.vendor, sizeof info.vendor);
  std::snprintf(info.version, sizeof info.version, "%s", version_text);
  info.math_modes = 1u << LKS_MODE_STRICT | 1u << LKS_MODE_FAST | 1u << LKS_MODE_LOCKSTEP;
  info.compute_units = usable_cores(info.compute_units);
}

#if defined(LOCKSTEP_WITH_OPENMP)
constexpr std::uint32_t driver_flags = 0;  // threads of the OpenMP runtime may outlive the driver
#else
constexpr std::uint32_t driver_flags = LKS_DRIVER_UNLOADABLE;
#endif

constexpr host::DriverTraits driver_traits = {
    .identity = {.name = "cpu", .version = version_text, .flags = driver_flags, .priority = LOCKSTEP_CPU_LEVEL},
    .kernels = &cpu::kernels,
    .describe = &describe,
    .probe = &probe,
};

}  // namespace

extern "C" LKS_EXPORT lks_status LKS_CALL lks_driver_entry_v1(const lks_host_api* host, const lks_driver_api** out,
                                                              lks_diag* diag) {
  return host::enter(driver_traits, host, out, diag);
}
