// GLSL to SPIR-V at run time, by glslang.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vulkan {

/// Throws Failure of LKS_INTERNAL with the compiler's message: a text that does not compile is a bug in this driver.
std::vector<std::uint32_t> compile_glsl(const std::string& text);

}  // namespace vulkan
