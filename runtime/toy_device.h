// Devices of the tests' asynchronous driver, which is in the folder TEST_DRIVERS.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "lockstep/device.h"
#include "lockstep/options.h"
#include "lockstep/testing.h"
#include "runtime/test_devices.h"

namespace lockstep {

inline Device toy() {
  static const Device device = [] {
    const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
    EXPECT_TRUE(record.ready) << record.text;
    return Device("toy:0");
  }();
  return device;
}

/// Loads the driver again, with an option.
inline Device load_toy_with(const char* option, const char* value) {
  toy();  // the first one that is loaded is called toy:0
  set_option(option, value);
  const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
  set_option(option, std::nullopt);
  EXPECT_TRUE(record.ready) << record.text;
  return Device(record.name + ":0");
}

/// The same, but the host can map its memory.
inline Device host_visible_toy() {
  static const Device device = load_toy_with("toy.host_visible", "1");
  return device;
}

/// The same, as a driver that was built with driver.h of ABI 1.0.
inline Device older_toy() {
  static const Device device = load_toy_with("toy.table", "older");
  return device;
}

/// The ids of all available devices and "toy:0", the id of toy(), for device_named().
inline std::vector<std::string> devices_and_toy() {
  std::vector<std::string> ids = available_devices();
  ids.push_back("toy:0");
  return ids;
}

/// The same and "visible_toy", which stands for host_visible_toy().
inline std::vector<std::string> devices_and_toys() {
  std::vector<std::string> ids = devices_and_toy();
  ids.push_back("visible_toy");
  return ids;
}

inline Device device_named(const std::string& id) {
  if (id == "toy:0") return toy();
  return id == "visible_toy" ? host_visible_toy() : Device(id);
}

}  // namespace lockstep
