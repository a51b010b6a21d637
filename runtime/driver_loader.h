// Loads one driver library, stage by stage, and keeps what happened.
#pragma once

#include <memory>
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
  lks_driver* driver = nullptr;
  std::vector<lks_device_info> devices;

  LoadedDriver() = default;
  ~LoadedDriver() { close(); }
  LoadedDriver(const LoadedDriver&) = delete;
  LoadedDriver& operator=(const LoadedDriver&) = delete;

  /// Closes the driver, and the library where its flags allow; the record stays.
  void close();
};

/// Runs all stages; failure is in the record, never thrown.
std::unique_ptr<LoadedDriver> load_driver_library(const std::string& path);

}  // namespace lockstep
