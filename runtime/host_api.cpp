#include "runtime/host_api.h"

#include <algorithm>
#include <cstring>

#include "lockstep/options.h"
#include "lockstep/parallel.h"
#include "runtime/cache_folder.h"
#include "runtime/fault.h"
#include "runtime/parallel.h"

namespace lockstep {
namespace {

void LKS_CALL host_log(void*, std::uint32_t level, const char* component, const char* text) {
  log(static_cast<int>(level), component, text);
}

std::int64_t LKS_CALL host_get_option(void*, const char* key, char* buf, std::uint64_t size) {
  auto value = option(key);
  if (!value && std::strcmp(key, "cache.folder") == 0) value = default_cache_folder();
  if (!value) return -1;
  if (size > 0) {
    const std::size_t length = std::min<std::size_t>(value->size(), size - 1);
    std::memcpy(buf, value->data(), length);
    buf[length] = '\0';
  }
  return static_cast<std::int64_t>(value->size());
}

void LKS_CALL host_parallel_for(void*, std::int64_t n, std::int64_t grain, lks_range_fn fn, void* arg) {
  parallel_ranges(n, grain, fn, arg);
}

std::uint32_t LKS_CALL host_thread_count(void*) { return thread_count(); }

lks_status LKS_CALL host_fault_point(void*, std::uint32_t kind, const char* site) { return fault::point(kind, site); }

}  // namespace

const lks_host_api& host_api() {
  static const lks_host_api api = {
      .hdr = {sizeof(lks_host_api), 0, nullptr},
      .abi_major = LKS_ABI_MAJOR,
      .abi_minor = LKS_ABI_MINOR,
      .host = nullptr,
      .log = &host_log,
      .get_option = &host_get_option,
      .parallel_for = &host_parallel_for,
      .thread_count = &host_thread_count,
      .fault_point = &host_fault_point,
  };
  return api;
}

lks_diag empty_diag() {
  lks_diag diag;
  std::memset(&diag, 0, sizeof diag);
  diag.hdr.size = sizeof diag;
  diag.operand = -1;
  return diag;
}

}  // namespace lockstep
