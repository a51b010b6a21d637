#include "runtime/driver_registry.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "lockstep/error.h"
#include "lockstep/options.h"
#include "runtime/command_queue.h"
#include "runtime/device_state.h"
#include "runtime/memory/budget.h"

namespace lockstep {
namespace {

std::string last_component(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

// GPUs before CPUs, then the driver's own priority.
bool trains_faster(const DeviceEntry& a, const DeviceEntry& b) {
  const auto rank = [](const DeviceEntry& e) {
    return std::pair(e.info.type == LKS_DEVICE_GPU              ? 3
                     : e.info.type == LKS_DEVICE_ACCELERATOR    ? 2
                     : e.info.type == LKS_DEVICE_INTEGRATED_GPU ? 1
                                                                : 0,
                     e.driver.api->priority);
  };
  return rank(a) > rank(b);
}

// Whether the library is an unusable driver with this name. If it failed early, only its file name is known.
bool would_offer(const DriverRecord& record, std::string_view prefix) {
  if (record.ready || record.stage == "superseded") return false;
  if (!record.name.empty()) return record.name == prefix;
  return last_component(record.path).find("driver_" + std::string(prefix)) != std::string::npos;
}

bool same_physical_device(const lks_device_info& a, const lks_device_info& b) {
  const std::uint8_t unknown[sizeof a.uuid] = {};
  return std::memcmp(a.uuid, unknown, sizeof a.uuid) != 0 && std::memcmp(a.uuid, b.uuid, sizeof a.uuid) == 0;
}

// Work that is still in flight when the process exits might use what exit handlers of the driver's libraries destroy.
void wait_for_all_devices() {
  if (in_forked_child) return;
  for (const DeviceEntry* entry : DriverRegistry::instance().entries()) {
    DeviceState* state = entry->state_if_open();
    if (!state) continue;
    state->wait_idle();
    state->log_unreported();
  }
}

struct WaitsWhenMainEnds {
  ~WaitsWhenMainEnds() {
    if (is_main_thread()) wait_for_all_devices();
  }
};

}  // namespace

std::vector<std::string> driver_search_path() {
  std::vector<std::string> folders;
  std::istringstream list(option("driver.path").value_or(""));
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.push_back(folder);
  }
  const std::string own = own_folder();
  // In lockstep/ beside the library. If it is linked into a program in bin/, also in lib/lockstep/ beside bin/.
  if (!own.empty()) {
    folders.push_back(own + "/lockstep");
    const std::size_t slash = own.find_last_of('/');
    if (slash != std::string::npos && own.substr(slash) == "/bin")
      folders.push_back(own.substr(0, slash) + "/lib/lockstep");
  }
  return folders;
}

// Uses a thread_local object, because exit() destroys those of the calling thread before it runs any handler. Our own
// handler would be too late: handlers run in the reverse order of their registration, and a library such as LLVM
// registers some while the device works, long after it was opened.
void wait_for_devices_at_exit() {
  static thread_local const WaitsWhenMainEnds guard;
  static_cast<void>(guard);
}

DeviceEntry::DeviceEntry(LoadedDriver& loaded, std::uint32_t number, std::string device_prefix)
    : driver(loaded),
      ordinal(number),
      prefix(std::move(device_prefix)),
      name(prefix + ":" + std::to_string(number)),
      info(loaded.devices[number]),
      budget(std::make_shared<MemoryBudget>()) {}

DeviceEntry::~DeviceEntry() = default;

DeviceState& DeviceEntry::open_state() const {
  LockGuard lock(mutex_);
  if (!state_) {
    if (info.status != LKS_OK) {
      ErrorBuilder(ErrorId::device_unavailable, name, std::string("the device cannot be used: ") + info.reason)
          .fix("run `lockstep devices --why` for all drivers and devices")
          .raise();
    }
    state_ = std::make_unique<DeviceState>(*this);
    open_.store(state_.get(), std::memory_order_release);
    // For programs whose main thread uses no device. Registered after the driver has loaded its libraries, so that it
    // runs before the exit handlers that they have registered by then.
    if (!state_->own_queue().is_inline()) std::atexit(&wait_for_all_devices);
  }
  return *state_;
}

void DeviceEntry::close() {
  LockGuard lock(mutex_);
  open_ = nullptr;
  state_.reset();
}

DriverRegistry& DriverRegistry::instance() {
  // Never destroyed: tensors with static storage duration may outlive any static object.
  check_not_forked();
  static auto* registry = new DriverRegistry;
  LockGuard lock(registry->mutex_);
  if (!registry->searched_) {
    registry->searched_ = true;
    registry->load_search_path();
  }
  return *registry;
}

void DriverRegistry::load_search_path() {
  for (const std::string& folder : driver_search_path()) {
    for (const std::string& file : driver_files_in(folder)) {
      const auto same_name = [&](const auto& d) { return last_component(d->record.path) == last_component(file); };
      if (std::any_of(drivers_.begin(), drivers_.end(), same_name)) {
        auto shadowed = std::make_unique<LoadedDriver>();
        shadowed->record = {file, "", "", "superseded", false, "a library of the same name was found earlier"};
        drivers_.push_back(std::move(shadowed));
        continue;
      }
      drivers_.push_back(load_driver_library(file));
    }
  }
  supersede_duplicates();
  std::vector<LoadedDriver*> ready;
  for (auto& d : drivers_) {
    if (d->record.ready) ready.push_back(d.get());
  }
  std::stable_sort(ready.begin(), ready.end(),
                   [](const LoadedDriver* a, const LoadedDriver* b) { return a->api->priority > b->api->priority; });
  for (LoadedDriver* d : ready) add_devices(*d, d->api->name);
}

// If there are several builds of one driver (such as for instruction sets), the one with the highest priority is used.
void DriverRegistry::supersede_duplicates() {
  for (auto& d : drivers_) {
    if (!d->record.ready) continue;
    for (auto& other : drivers_) {
      const bool better = other->record.ready && other.get() != d.get() && other->record.name == d->record.name &&
                          other->api->priority > d->api->priority;
      if (!better) continue;
      d->close();
      d->record.stage = "superseded";
      d->record.ready = false;
      d->record.text = "usable, but " + last_component(other->record.path) + " suits this machine better";
      break;
    }
  }
}

void DriverRegistry::add_devices(LoadedDriver& driver, const std::string& prefix) {
  for (std::uint32_t i = 0; i < driver.devices.size(); ++i) {
    auto entry = std::make_unique<DeviceEntry>(driver, i, prefix);
    for (const auto& other : entries_) {
      if (same_physical_device(entry->info, other->info)) entry->budget = other->budget;
    }
    entries_.push_back(std::move(entry));
  }
}

DriverRecord DriverRegistry::load(const std::string& path) {
  LockGuard lock(mutex_);
  auto driver = load_driver_library(path);
  if (driver->record.ready) {
    std::string prefix = driver->api->name;
    const auto taken = [&](const auto& e) { return e->prefix == prefix; };
    for (int n = 2; std::any_of(entries_.begin(), entries_.end(), taken); ++n) {
      prefix = std::string(driver->api->name) + "-" + std::to_string(n);
    }
    driver->record.name = prefix;
    add_devices(*driver, prefix);
  }
  drivers_.push_back(std::move(driver));
  return drivers_.back()->record;
}

std::vector<DriverRecord> DriverRegistry::records() {
  LockGuard lock(mutex_);
  std::vector<DriverRecord> all;
  for (const auto& d : drivers_) all.push_back(d->record);
  return all;
}

std::vector<const DeviceEntry*> DriverRegistry::entries() {
  LockGuard lock(mutex_);
  std::vector<const DeviceEntry*> all;
  for (const auto& e : entries_) all.push_back(e.get());
  return all;
}

Device DriverRegistry::find(std::string_view name) {
  LockGuard lock(mutex_);
  const std::size_t colon = name.find(':');
  const std::string full = colon == std::string_view::npos ? std::string(name) + ":0" : std::string(name);
  for (const auto& e : entries_) {
    if (e->name == full) return Device(e.get());
  }
  std::string known;
  for (const auto& e : entries_) known += (known.empty() ? "" : ", ") + e->name;
  ErrorBuilder error(ErrorId::unknown_device, "device", "there is no device \"" + std::string(name) + "\"");
  for (const auto& d : drivers_) {
    if (would_offer(d->record, name.substr(0, colon))) error.line("driver", d->record.text);
  }
  error
      .fix(known.empty() ? "no driver was found: see `lockstep devices --why` and LOCKSTEP_DRIVER_PATH"
                         : "known devices: " + known + "; `lockstep devices --why` tells why others are missing")
      .raise();
}

Device DriverRegistry::first_available() {
  LockGuard lock(mutex_);
  const DeviceEntry* first = nullptr;
  for (const auto& e : entries_) {
    if (e->info.status != LKS_OK) continue;
    if (e->prefix == "cpu") return Device(e.get());
    if (!first) first = e.get();
  }
  if (first) return Device(first);
  std::ostringstream why;
  for (const auto& d : drivers_) why << "\n    " << d->record.path << ": " << d->record.stage << ": " << d->record.text;
  ErrorBuilder(ErrorId::device_unavailable, "device", "no driver offers a device")
      .line("looked", drivers_.empty() ? "no driver library was found in the search path" : why.str())
      .fix("set LOCKSTEP_DRIVER_PATH to the folder that holds " + std::string(driver_file_pattern()))
      .raise();
}

Device DriverRegistry::best() {
  LockGuard lock(mutex_);
  const DeviceEntry* best = nullptr;
  for (const auto& e : entries_) {
    if (e->info.status == LKS_OK && (!best || trains_faster(*e, *best))) best = e.get();
  }
  return best ? Device(best) : first_available();
}

void DriverRegistry::reset() {
  LockGuard lock(mutex_);
  for (auto& e : entries_) e->close();
  entries_.clear();
  drivers_.clear();
  searched_ = false;
}

}  // namespace lockstep
