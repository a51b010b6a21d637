// The device of the tests' asynchronous driver, which is in the folder TEST_DRIVERS.
#pragma once

#include <gtest/gtest.h>

#include "lockstep/device.h"
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

}  // namespace lockstep
