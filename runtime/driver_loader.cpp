#include "runtime/driver_loader.h"

#include <array>
#include <bit>
#include <cstring>

#include "api/internal/sanitizer.h"
#include "lockstep/error.h"
#include "runtime/driver_table.h"
#include "runtime/forked.h"
#include "runtime/host_api.h"

namespace lockstep {
namespace {

const char* sanitizer_name(std::uint32_t kind) {
  constexpr std::array names = {"no sanitizer", "AddressSanitizer", "ThreadSanitizer", "MemorySanitizer"};
  return kind < names.size() ? names[kind] : "an unknown sanitizer";
}

// A stage returns the reason of its failure, or an empty text on success.
using Stage = std::string (*)(LoadedDriver&);

std::string text_of(const lks_diag& diag, lks_status status) {
  std::string text = diag.what[0] ? diag.what : "status " + std::to_string(status) + " without an explanation";
  if (diag.hint[0]) text += std::string(" (") + diag.hint + ")";
  return text;
}

std::string open_library(LoadedDriver& d) {
  std::string reason;
  d.library = SharedLibrary::open(d.record.path, reason);
  return reason;
}

std::string find_symbol(LoadedDriver& d) {
  if (d.library.function(LKS_ENTRY_SYMBOL)) return "";
  if (d.library.symbol(LKS_ENTRY_SYMBOL)) return "its symbol " LKS_ENTRY_SYMBOL " is not a function";
  return "it exports no symbol " LKS_ENTRY_SYMBOL ": not a Lockstep driver, or one of another major version";
}

std::string negotiate(LoadedDriver& d) {
  const auto entry = reinterpret_cast<lks_driver_entry_fn>(d.library.symbol(LKS_ENTRY_SYMBOL));
  lks_diag diag = empty_diag();
  const lks_driver_api* api = nullptr;
  const lks_status status = entry(&host_api(), &api, &diag);
  if (status != LKS_OK) return "its entry refused: " + text_of(diag, status);
  if (!api) return "its entry returned no table";
  if (api->abi_major != LKS_ABI_MAJOR) {
    return "it implements ABI " + std::to_string(api->abi_major) + "." + std::to_string(api->abi_minor) +
           ", this runtime needs " + std::to_string(LKS_ABI_MAJOR) + ".x: rebuild the driver";
  }
  if (std::string reason = copy_driver_table(*api, d.table, sizeof d.table); !reason.empty()) return reason;
  api = &d.table;
  if (!api->name || !api->name[0]) return "it has no name";
  if (api->sanitizer != own_sanitizer) {
    return std::string("it was built with ") + sanitizer_name(api->sanitizer) + ", this runtime with " +
           sanitizer_name(own_sanitizer) + ": build both alike";
  }
  d.api = api;
  d.record.name = api->name;
  d.record.version = api->version ? api->version : "";
  return "";
}

std::string probe(LoadedDriver& d) { return d.open(); }

std::string missing_group(const LoadedDriver& d, lks_driver* driver, const lks_device_info& info) {
  for (std::uint64_t bit = LKS_CAP_GRAPH; bit <= LKS_CAP_COLLECTIVES; bit <<= 1) {
    if (!(info.capabilities & bit)) continue;
    const void* group = d.api->get_group(driver, bit);
    if (!group) return "it claims capability " + std::to_string(bit) + " and has no table for it";
    if (std::string reason = missing_in_group(bit, group); !reason.empty()) return reason;
  }
  return "";
}

std::string enumerate(LoadedDriver& d) {
  lks_driver* const driver = d.handle();
  const std::uint32_t count = d.api->device_count(driver);
  if (count == 0) return "it reports no device";
  for (std::uint32_t i = 0; i < count; ++i) {
    lks_device_info info;
    std::memset(&info, 0, sizeof info);
    info.hdr.size = sizeof info;
    lks_diag diag = empty_diag();
    const lks_status status = d.api->device_describe(driver, i, &info, &diag);
    if (status != LKS_OK) return "device " + std::to_string(i) + " cannot be described: " + text_of(diag, status);
    if (std::string reason = missing_group(d, driver, info); !reason.empty()) return reason;
    if (info.min_alignment < 16 || !std::has_single_bit(info.min_alignment)) {
      return "device " + std::to_string(i) + " aligns its buffers to " + std::to_string(info.min_alignment) +
             " bytes, which is not a power of two of 16 or more";
    }
    d.devices.push_back(info);
  }
  return "";
}

struct NamedStage {
  const char* name;
  Stage run;
};

constexpr std::array stages = {NamedStage{"open", &open_library}, NamedStage{"symbol", &find_symbol},
                               NamedStage{"negotiate", &negotiate}, NamedStage{"probe", &probe},
                               NamedStage{"enumerate", &enumerate}};

}  // namespace

std::string LoadedDriver::open() {
  const LockGuard lock(mutex_);
  return open_locked();
}

std::string LoadedDriver::open_locked() {
  lks_diag diag = empty_diag();
  driver_ = nullptr;
  generation_ = fork_generation();
  const lks_status status = api->driver_open(&host_api(), &driver_, &diag);
  if (status == LKS_OK && driver_) return "";
  driver_ = nullptr;
  return text_of(diag, status);
}

lks_driver* LoadedDriver::handle() {
  const LockGuard lock(mutex_);
  if (driver_ && generation_ == fork_generation()) return driver_;
  const std::string reason = open_locked();
  if (!driver_) {
    ErrorBuilder(ErrorId::device_unavailable, record.name, "the driver does not open in this forked process: " + reason)
        .fix("start a fresh process (posix_spawn or exec) instead of fork, or fork before devices are listed")
        .raise();
  }
  return driver_;
}

void LoadedDriver::close() {
  const LockGuard lock(mutex_);
  if (driver_ && generation_ == fork_generation()) api->driver_close(driver_);
  driver_ = nullptr;
  devices.clear();
  if (api && !(api->flags & LKS_DRIVER_UNLOADABLE)) library.pin();
  api = nullptr;
  library = SharedLibrary();
}

std::unique_ptr<LoadedDriver> load_driver_library(const std::string& path) {
  auto d = std::make_unique<LoadedDriver>();
  d->record.path = path;
  for (const NamedStage& stage : stages) {
    d->record.stage = stage.name;
    d->record.text = stage.run(*d);
    if (!d->record.text.empty()) {
      d->close();
      return d;
    }
  }
  d->record.stage = "ready";
  d->record.ready = true;
  return d;
}

}  // namespace lockstep
