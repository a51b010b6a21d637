// The decoration of `precise` on fused products, which glslang writes for products and sums only. Without it a driver
// that does not offer to keep denormal numbers may lose them in fma() while it keeps them in those.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vulkan {

/// The module with NoContraction on each Fma.
std::vector<std::uint32_t> with_precise_fma(std::span<const std::uint32_t> module);

}  // namespace vulkan
