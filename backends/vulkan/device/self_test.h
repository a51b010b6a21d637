// Tests the device's floating-point arithmetic when it is opened. The specification allows divisions and square roots
// that are not correctly rounded, and denormal numbers to be flushed to zero; most devices are better than that.
#pragma once

#include <array>
#include <cstdint>

struct lks_device;

namespace vulkan {

struct Arithmetic {
  bool native_division = false, native_root = false;  // rounded to nearest even
  bool native_comparison = false;                     // of denormal numbers too
  bool native_conversion = false;                     // from and to f64, of denormal numbers too
  bool native_division_64 = false, native_root_64 = false;
  bool keeps_denormals = true;   // in products and sums
  bool fuses_denormals = false;  // keeps them in fused products too

  /// The specialisation constants of shaders/exact.glsl.
  std::array<std::uint32_t, 6> constants() const {
    return {native_division, native_root, native_comparison, native_conversion, native_division_64, native_root_64};
  }
};

/// Compares the device's arithmetic with integer arithmetic on 262,144 operands (16,384 for f64), denormal ones too.
/// With the option `vulkan.arithmetic=exact`, every `native_` member is false. Throws Failure.
Arithmetic test_arithmetic(lks_device& device);

}  // namespace vulkan
