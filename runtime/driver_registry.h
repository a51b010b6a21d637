// All drivers and the devices they list.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lockstep/device.h"
#include "runtime/driver_loader.h"
#include "runtime/forked.h"

namespace lockstep {

class DeviceState;
class MemoryBudget;

/// One listed device. Lives as long as the process.
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

  /// Opens the device on first use; throws DeviceError LS3003.
  DeviceState& state() const {
    DeviceState* open = open_.load(std::memory_order_acquire);
    return open ? *open : open_state();
  }
  /// The state if the device is open.
  DeviceState* state_if_open() const { return open_.load(std::memory_order_acquire); }
  /// Closes the device; nothing may use it any more.
  void close();

 private:
  DeviceState& open_state() const;

  mutable std::mutex mutex_;
  mutable std::unique_ptr<DeviceState> state_;
  mutable std::atomic<DeviceState*> open_{nullptr};
};

class DriverRegistry {
 public:
  /// Loads what the search path holds on first use.
  static DriverRegistry& instance();

  Device find(std::string_view name);
  Device first_available();
  Device best();
  DriverRecord load(const std::string& path);
  std::vector<DriverRecord> records();
  std::vector<const DeviceEntry*> entries();

  /// Closes every device and driver; a later use loads them again. For tests that load and unload drivers: no tensor
  /// may be alive.
  void reset();

 private:
  DriverRegistry() = default;
  void load_search_path();
  void supersede_duplicates();
  void add_devices(LoadedDriver& driver, const std::string& prefix);

  std::recursive_mutex mutex_;
  bool searched_ = false;
  std::vector<std::unique_ptr<LoadedDriver>> drivers_;
  std::vector<std::unique_ptr<DeviceEntry>> entries_;
};

/// Called on each thread that gives a device work to do later: when the main thread's program ends, it waits for all
/// devices, before anything that they use is taken away.
void wait_for_devices_at_exit();

}  // namespace lockstep
