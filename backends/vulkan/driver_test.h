// The fixture and helpers that this driver's tests share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "conformance/runtime/runtime_case.h"
#include "lockstep/lockstep.h"

namespace lockstep {

using namespace conformance;

inline const RuntimeTarget target{VULKAN_DRIVER, 0, 1};

class VulkanDriver : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<DeviceInfo> all = devices();
    const bool there =
        std::any_of(all.begin(), all.end(), [](const DeviceInfo& d) { return d.driver == "vulkan" && d.available; });
    if (!there) GTEST_SKIP() << "no Vulkan device";
  }
};

inline std::string run(const std::string& command) {
  std::string text;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return "no process could be started";
  std::array<char, 512> part;
  while (std::fgets(part.data(), part.size(), pipe)) text += part.data();
  pclose(pipe);
  return text;
}

}  // namespace lockstep
