// Compares the integer arithmetic of shaders/exact.glsl with a device whose arithmetic is known to round correctly.
#include <gtest/gtest.h>

#include <cstdlib>

#include "backends/vulkan/device/device.h"
#include "runtime/host_api.h"

namespace vulkan {
namespace {

// Lavapipe divides and takes roots with the processor's instructions. If the integer arithmetic had other results, the
// self-test would fail on every device, and the slow integer arithmetic would always be used.
TEST(Arithmetic, agrees_with_the_processor) {
  unsetenv("LOCKSTEP_VULKAN_ARITHMETIC");  // it would disable the device's own arithmetic
  // Never closed: leak checkers can attribute what Vulkan drivers leak only while these are loaded.
  static lks_driver* driver = nullptr;
  try {
    driver = new lks_driver(lockstep::host_api());
  } catch (const Failure& e) {
    GTEST_SKIP() << "no Vulkan: " << e.diag().what;
  }
  for (const DeviceProperties& properties : driver->instance.devices()) {
    if (!properties.is_lavapipe || !properties.missing.empty()) continue;
    const lks_device device(*driver, properties);
    EXPECT_TRUE(device.arithmetic.native_division);
    EXPECT_TRUE(device.arithmetic.native_root);
    EXPECT_TRUE(device.arithmetic.native_comparison);
    EXPECT_TRUE(device.arithmetic.native_conversion);
    EXPECT_TRUE(device.arithmetic.keeps_denormals);
    EXPECT_TRUE(device.arithmetic.fuses_denormals);
    EXPECT_TRUE(device.arithmetic.native_division_64);
    EXPECT_TRUE(device.arithmetic.native_root_64);
    return;
  }
  GTEST_SKIP() << "no lavapipe";
}

}  // namespace
}  // namespace vulkan
