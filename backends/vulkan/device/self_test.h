// What the device's arithmetic of floats really does, found out when it is opened: the specification allows a division
// and a square root to be off by more than their rounding, and denormal numbers to be taken for zero, and most devices
// are better than that.
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

/// Compares it with integer arithmetic on some hundred thousand operands, denormal ones too. The option
/// `vulkan.arithmetic=exact` distrusts it all but for products and sums. Throws Failure.
Arithmetic test_arithmetic(lks_device& device);

}  // namespace vulkan
