// Loads one driver library, stage by stage, and keeps what happened.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/driver.h"
#include "runtime/library.h"

namespace lockstep {

/// A driver library that was looked at; usable if `record.ready`.
struct LoadedDriver {
  DriverRecord record;
  SharedLibrary library;
  const lks_driver_api* api = nullptr;
  std::vector<lks_device_info> devices;

  LoadedDriver() = default;
  ~LoadedDriver() { close(); }
  LoadedDriver(const LoadedDriver&) = delete;
  LoadedDriver& operator=(const LoadedDriver&) = delete;

  /// The driver. What a forked child's parent opened is left alone, and the driver opened again; throws DeviceError
  /// LS3003 where that fails.
  lks_driver* handle();
  /// Opens the driver; gives the reason where it fails.
  std::string open();
  /// Closes the driver, and the library where its flags allow; the record stays.
  void close();

 private:
  std::mutex mutex_;  // while it is opened again
  lks_driver* driver_ = nullptr;
  unsigned generation_ = 0;  // fork_generation() when it was opened
};

/// Runs all stages; failure is in the record, never thrown.
std::unique_ptr<LoadedDriver> load_driver_library(const std::string& path);

}  // namespace lockstep
