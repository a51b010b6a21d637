#include "lockstep/device.h"

#include <array>
#include <ostream>

#include "lockstep/error.h"
#include "runtime/device_state.h"
#include "runtime/driver_registry.h"
#include "runtime/enums.h"
#include "runtime/host_api.h"
#include "runtime/thread_state.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, 3> mode_names = {"strict", "fast", "lockstep"};

std::string type_name(std::int32_t type) {
  switch (type) {
    case LKS_DEVICE_CPU: return "cpu";
    case LKS_DEVICE_GPU: return "gpu";
    case LKS_DEVICE_INTEGRATED_GPU: return "integrated gpu";
    default: return "accelerator";
  }
}

std::string uuid_text(const std::uint8_t (&uuid)[16]) {
  std::string text;
  for (const std::uint8_t byte : uuid) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text == std::string(32, '0') ? "" : text;
}

DeviceInfo info_of(const DeviceEntry& entry) {
  const lks_device_info& raw = entry.info;
  DeviceInfo info;
  info.id = entry.name;
  info.driver = entry.prefix;
  info.name = raw.name;
  info.vendor = raw.vendor;
  info.version = raw.version;
  info.type = type_name(raw.type);
  info.available = raw.status == LKS_OK;
  info.reason = raw.reason;
  info.memory_total = raw.heap_count ? raw.heaps[0].bytes : 0;
  info.compute_units = raw.compute_units;
  info.uuid = uuid_text(raw.uuid);
  info.largest_allocation =
      raw.max_tensor_bytes ? std::min(raw.max_tensor_bytes, raw.max_allocation) : raw.max_allocation;
  for (int mode = 0; mode < 3; ++mode) {
    if (raw.math_modes & (1u << mode)) info.modes.push_back(static_cast<MathMode>(mode));
  }
  if (in_forked_child) return info;  // the driver belongs to the parent
  std::uint64_t total = 0, free_bytes = 0;
  lks_diag diag = empty_diag();
  const lks_status status =
      entry.driver.api->device_memory(entry.driver.handle(), entry.ordinal, nullptr, 0, &total, &free_bytes, &diag);
  if (status == LKS_OK) {
    info.memory_total = total;
    info.memory_free = free_bytes;
  }
  return info;
}

}  // namespace

Device::Device(std::string_view name) : entry_(DriverRegistry::instance().find(name).entry_) {}

const std::string& Device::name() const { return entry_->name; }
std::string Device::driver() const { return entry_->prefix; }
int Device::index() const { return static_cast<int>(entry_->ordinal); }
DeviceState& Device::state() const { return entry_->state(); }

std::ostream& operator<<(std::ostream& out, Device device) { return out << device.name(); }

std::string_view name_of(MathMode mode) {
  return mode <= MathMode::lockstep ? mode_names[static_cast<std::size_t>(mode)] : "no math mode";
}

std::optional<MathMode> find_mode(std::string_view name) {
  for (MathMode mode : {MathMode::strict, MathMode::fast, MathMode::lockstep}) {
    if (name == name_of(mode)) return mode;
  }
  return std::nullopt;
}

std::vector<DeviceInfo> devices() {
  std::vector<DeviceInfo> all;
  for (const DeviceEntry* entry : DriverRegistry::instance().entries()) all.push_back(info_of(*entry));
  return all;
}

DeviceInfo describe(Device device) { return info_of(device.entry()); }

Device best_device() { return DriverRegistry::instance().best(); }

std::vector<DriverRecord> driver_records() { return DriverRegistry::instance().records(); }

DriverRecord load_driver(const std::string& path) { return DriverRegistry::instance().load(path); }

Device default_device() {
  ThreadState& state = thread_state();
  if (!state.device) state.device = DriverRegistry::instance().first_available();
  return *state.device;
}

DeviceScope::DeviceScope(Device device) : previous_(thread_state().device) { thread_state().device = device; }
DeviceScope::~DeviceScope() { thread_state().device = previous_; }

MathModeScope::MathModeScope(MathMode mode, CallSite where) : previous_(thread_state().mode) {
  check_enum(mode, MathMode::lockstep, "math mode", "MathModeScope", where);
  thread_state().mode = mode;
}
MathModeScope::~MathModeScope() { thread_state().mode = previous_; }

MathMode math_mode() { return thread_state().mode; }

void synchronize(Device device) {
  check_not_forked();
  device.state().synchronize();
}

}  // namespace lockstep
