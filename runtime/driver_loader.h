// Loads one driver library, stage by stage, and records the result.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/internal/mutex.h"
#include "lockstep/device.h"
#include "lockstep/driver.h"
#include "runtime/library.h"

namespace lockstep {

/// A candidate driver library; usable if `record.ready`.
struct LoadedDriver {
  DriverRecord record;
  SharedLibrary library;
  lks_driver_api table{};               // the driver's table in this runtime's size
  const lks_driver_api* api = nullptr;  // &table; nullptr unless the driver is usable
  std::vector<lks_device_info> devices;

  LoadedDriver() = default;
  ~LoadedDriver() { close(); }
  LoadedDriver(const LoadedDriver&) = delete;
  LoadedDriver& operator=(const LoadedDriver&) = delete;

  /// The driver. In a forked child, opens it again and leaves the parent's handle untouched; throws DeviceError LS3003
  /// if that fails.
  lks_driver* handle();
  /// Opens the driver. Returns the reason if it fails, otherwise an empty text.
  std::string open();
  /// Closes the driver, and the library if its flags allow it. The record stays.
  void close();

 private:
  std::string open_locked() LOCKSTEP_REQUIRES(mutex_);

  Mutex mutex_;  // held while the driver is opened again
  lks_driver* driver_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;
  unsigned generation_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // fork_generation() when it was opened
};

/// Runs all stages. A failure is recorded and never thrown.
std::unique_ptr<LoadedDriver> load_driver_library(const std::string& path);

}  // namespace lockstep
