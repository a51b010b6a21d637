// The devices on which tests run, and names for such tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lockstep/device.h"

namespace lockstep {

/// The ids of all devices that are available here, such as "cpu:0".
inline std::vector<std::string> available_devices() {
  std::vector<std::string> ids;
  for (const DeviceInfo& device : devices()) {
    if (device.available) ids.push_back(device.id);
  }
  return ids;
}

/// "cpu_0": the id in characters that a test's name may have.
inline std::string test_name_of(std::string id) {
  std::replace(id.begin(), id.end(), ':', '_');
  return id;
}

/// "cpu": the driver's part of the id.
inline std::string driver_name_of(const std::string& id) { return id.substr(0, id.find(':')); }

/// Names the tests of INSTANTIATE_TEST_SUITE_P by the device: "cpu_0".
inline std::string by_device(const testing::TestParamInfo<std::string>& test) { return test_name_of(test.param); }

/// The same by its driver: "cpu".
inline std::string by_driver(const testing::TestParamInfo<std::string>& test) { return driver_name_of(test.param); }

}  // namespace lockstep
