// Devices of the tests' asynchronous driver, which is in the folder TEST_DRIVERS.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "lockstep/device.h"
#include "lockstep/options.h"
#include "lockstep/testing.h"

namespace lockstep {

inline Device toy() {
  static const Device device = [] {
    const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
    EXPECT_TRUE(record.ready) << record.text;
    return Device("toy:0");
  }();
  return device;
}

/// The same, but the host can map its memory.
inline Device host_visible_toy() {
  static const Device device = [] {
    toy();  // the first one that is loaded is called toy:0
    set_option("toy.host_visible", "1");
    const DriverRecord record = load_driver(TEST_DRIVERS "/liblockstep_driver_toy.so");
    set_option("toy.host_visible", std::nullopt);
    EXPECT_TRUE(record.ready) << record.text;
    return Device(record.name + ":0");
  }();
  return device;
}

}  // namespace lockstep
