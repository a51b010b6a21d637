// What the device's arithmetic really does, found out when it is opened: the specification allows a division and a
// square root to be off by more than their rounding, and most devices are better than that.
#pragma once

struct lks_device;

namespace vulkan {

struct Arithmetic {
  bool native_division = false, native_root = false;  // of f32: rounded to nearest even
};

/// Compares them with integer arithmetic on some hundred thousand operands, denormal ones too. The option
/// `vulkan.arithmetic=exact` skips the test and distrusts both. Throws Failure.
Arithmetic test_arithmetic(lks_device& device);

}  // namespace vulkan
