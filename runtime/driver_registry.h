// All drivers and the devices that they list.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "api/internal/mutex.h"
#include "lockstep/device.h"
#include "runtime/driver_loader.h"
#include "runtime/forked.h"

namespace lockstep {

class DeviceState;
class MemoryBudget;

/// One listed device. Kept until the process ends.
class DeviceEntry {
 public:
  DeviceEntry(LoadedDriver& driver, std::uint32_t ordinal, std::string prefix);
  ~DeviceEntry();

  LoadedDriver& driver;
  const std::uint32_t ordinal;
  const std::string prefix;  // "cpu"
  const std::string name;    // "cpu:0"
  const lks_device_info info;
  std::shared_ptr<MemoryBudget> budget;  // shared with other entries of the same physical device

  /// Opens the device on first use; throws DeviceError LS3003, or StateError LS1003 in a forked child.
  DeviceState& state() const {
    check_not_forked();
    DeviceState* open = open_.load(std::memory_order_acquire);
    return open ? *open : open_state();
  }
  /// The state if the device is open.
  DeviceState* state_if_open() const { return open_.load(std::memory_order_acquire); }
  /// Closes the device; nothing may use it any more.
  void close();

 private:
  DeviceState& open_state() const;

  mutable Mutex mutex_;
  mutable std::unique_ptr<DeviceState> state_ LOCKSTEP_GUARDED_BY(mutex_);
  mutable std::atomic<DeviceState*> open_{nullptr};
};

class DriverRegistry {
 public:
  /// On first use, loads the drivers in the search path. Throws StateError LS1003 in a forked child.
  static DriverRegistry& instance();

  Device find(std::string_view name);
  Device first_available();
  Device best();
  DriverRecord load(const std::string& path);
  std::vector<DriverRecord> records();
  std::vector<const DeviceEntry*> entries();

  /// Closes every device and driver; the next use loads them again. Only for tests that load and unload drivers. No
  /// tensor and no stream may exist.
  void reset();

 private:
  DriverRegistry() = default;
  void load_search_path() LOCKSTEP_REQUIRES(mutex_);
  void supersede_duplicates() LOCKSTEP_REQUIRES(mutex_);
  void add_devices(LoadedDriver& driver, const std::string& prefix) LOCKSTEP_REQUIRES(mutex_);

  RecursiveMutex mutex_;
  bool searched_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<LoadedDriver>> drivers_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<DeviceEntry>> entries_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// Called on each thread that enqueues asynchronous work. If that thread is the main thread, it waits for all devices
/// when the process exits, before anything that they use is destroyed.
void wait_for_devices_at_exit();

}  // namespace lockstep
